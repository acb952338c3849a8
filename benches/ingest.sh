#!/usr/bin/env bash
# What an event costs, beside what the same bytes cost a bare receiver: the load generator sends to sidewatch and to the
# receiver in turn, over every transport, and the CPU that each has spent (the agent's from /proc/PID/task/*/schedstat, all
# threads and everything else it does meanwhile) is divided by the events that each has counted itself.
#
# usage: benches/ingest.sh [--check] [--seconds N] [--rounds N] [--only PATTERN]
# Prints a table and one line of JSON for each case; with --check it fails when a limit is not kept.
# See benches/stage.sh for where the programs are.
set -euo pipefail
cd "$(dirname "$0")/.."

check='' seconds=4 rounds=3 only=.
while [ $# -gt 0 ]; do
    case $1 in
        --check) check=1; shift ;;
        --seconds) seconds=$2; shift 2 ;;
        --rounds) rounds=$2; shift 2 ;;
        --only) only=$2; shift 2 ;;
        *) sed -n '2,/^set/p' "$0" | grep '^#'; exit 2 ;;
    esac
done
source benches/stage.sh
build_tools

udp_port=$((20000 + RANDOM % 10000))
sockets() { echo "stream: {path: $folder/$1/stream.sock}, datagram: {path: $folder/$1/datagram.sock$2}"; }
udp='' credentials=''
knows udp && udp=", udp: {listen: [\"127.0.0.1:$udp_port\"], dialect: dogstatsd}"
knows credentials && credentials=1
start plain "ingest: {$(sockets plain "${credentials:+, credentials: false}")$udp}"
[ -z "$credentials" ] || start known "ingest: {$(sockets known ', credentials: true')}"

# 20,000 finished requests over the 200 label sets of sgen's timers, about 180 bytes each.
awk 'BEGIN {
    srand(1)
    split("GET POST", method, " "); split("200 201 404 500", status, " ")
    for (i = 0; i < 20000; i++) {
        k = int(rand() * 200); trace = ""
        for (d = 0; d < 4; d++) trace = trace sprintf("%08x", int(rand() * 2147483647))
        printf "{\"kind\":\"request\",\"service\":\"shop\",\"method\":\"%s\",\"route\":\"/api/v1/r%02d\",\"status\":%s,", \
            method[k % 2 + 1], int(k / 8), status[int(k / 2) % 4 + 1]
        printf "\"duration_ms\":%.3f,\"bytes_out\":%d,\"trace_id\":\"%s\"}\n", 0.5 + rand() * 10, 200 + rand() * 20000, trace
    }
}' > "$folder/requests.ndjson"

counted() { metrics "$1" | awk '/^sidewatch_ingest_events_total/ { sum += $2 } END { printf "%.0f\n", sum }'; }

# generate LINES TRANSPORT ADDRESS PACK RATE SECONDS: sgen's timers or the requests, to either receiver.
generate() {
    if [ "$1" = timers ]; then
        "$folder/bench/bin/sgen" -t "$2" -a "$3" -d dog -T h -p "$4" -r "$5" -n "$6" > "$folder/sent.json"
    else
        "$flood" --to "$2:$3" --lines "$folder/requests.ndjson" --pack 65536 --rate "$5" --seconds "$6" > "$folder/sent.json"
    fi
}

# of_agent NAME …: us of CPU an event.
of_agent() {
    local name=$1 before after
    shift
    before=$(counted "$name")
    threads "${pid_of[$name]}" > "$folder/threads"
    generate "$@"
    # What has been read is counted after a flush interval of 100 ms.
    sleep 0.3
    after=$(spent "${pid_of[$name]}" "$folder/threads")
    echo "$after $before $(counted "$name")" | awk '{ printf "%.4f\n", $1 / 1000 / ($3 - $2) }'
}

# of_floor MODE …: the same of the bare receiver, by its own account.
of_floor() {
    local mode=$1 receiver
    shift
    # Over UDP both have the same room in the kernel (ingest.udp.receive_buffer_bytes).
    "$folder/bench/bin/floor" -t "$2" -a "$3" -m "$mode" -r $((4 << 20)) > "$folder/floor.json" &
    receiver=$!
    sleep 0.3
    generate "$@"
    # It ends by itself: with the connection, or a second after the last datagram.
    wait "$receiver"
    rm -f "$folder/floor.sock"
    grep -o '"ns_per_ev":[0-9.]*' "$folder/floor.json" | cut -d: -f2 | awk '{ printf "%.4f\n", $1 / 1000 }'
}

# case NAME AGENT LINES TRANSPORT SOCKET PACK RATE SECONDS MODE LIMIT: one round. The limit is for the ratio to the floor
# named by MODE: "agg" receives the same lines, "lines" only finds the ends of the same lines; "timers" is the floor of
# sgen's timers on the stream in the same round.
names=()
declare -A limit_of base_of
round_of() {
    local name=$1 to=$2 lines=$3 transport=$4 socket=$5 pack=$6 rate=$7 length=$8 mode=$9 limit=${10} own floor
    [[ $name =~ $only ]] || return 0
    [ -n "${limit_of[$name]+set}" ] || names+=("$name")
    limit_of[$name]=$limit
    base_of[$name]=$mode
    local agents=$folder/$to/$socket.sock floors=$folder/floor.sock
    [ "$transport" = udp ] && agents=$udp_port floors=$((udp_port + 1))
    own=$(of_agent "$to" "$lines" "$transport" "$agents" "$pack" "$rate" "$length")
    if [ "$mode" = timers ]; then floor=$(of_floor agg timers unix "$floors" 0 0 "$length")
    else floor=$(of_floor "$mode" "$lines" "$transport" "$floors" "$pack" "$rate" "$length"); fi
    echo "$own" >> "$folder/own.$name"
    echo "$floor" >> "$folder/floor.$name"
    echo "$own $floor" | awk '{ printf "%.3f\n", $1 / $2 }' >> "$folder/ratio.$name"
}

steady=$((seconds > 6 ? seconds : 6))
for _ in $(seq "$rounds"); do
    round_of stream                plain timers   unix     stream   0    0      "$seconds" agg    1.5
    round_of datagrams_8000        plain timers   unixgram datagram 8000 0      "$seconds" agg    1.5
    round_of datagram_a_line       plain timers   unixgram datagram 0    0      "$seconds" agg    1.3
    [ -z "$credentials" ] || \
    round_of datagram_a_line_known known timers   unixgram datagram 0    0      "$seconds" agg    -
    round_of steady_100k_1400      plain timers   unixgram datagram 1400 100000 "$steady"  agg    1.5
    round_of ndjson                plain requests unix     stream   0    0      "$seconds" timers 5
    round_of ndjson_to_lines       plain requests unix     stream   0    0      "$seconds" lines  -
    [ -z "$udp" ] || {
    round_of udp_1400              plain timers   udp      -        1400 0      "$seconds" agg    -
    round_of udp_a_line            plain timers   udp      -        0    0      "$seconds" agg    -
    }
done

row() { printf '%-24s %12s %10s %8s %8s %8s  %10s %10s\n' "$@"; }
echo "200 label sets, $rounds rounds of $seconds s, medians; a flood but for steady_100k_1400 (100,000 lines a second, $steady s)"
row case 'us an event' "floor's" ratio limit verdict 'events/s' "floor's"
for name in "${names[@]}"; do
    own=$(median < "$folder/own.$name") floor=$(median < "$folder/floor.$name") ratio=$(median < "$folder/ratio.$name")
    said=$(verdict "$ratio" "${limit_of[$name]}")
    [ "$said" != FAIL ] || failed=1
    speeds=$(echo "$own $floor" | awk '{ printf "%.2fM %.2fM\n", 1 / $1, 1 / $2 }')
    row "$name" "$own" "$floor" "$ratio" "${limit_of[$name]}" "$said" $speeds
done
echo "events/s are those that one core would do at this cost. The floor of ndjson is that of timers on the stream (parsed and"
echo "summed up), in the same round; that of ndjson_to_lines receives the same requests and only finds the ends of their lines."
for name in "${names[@]}"; do
    list() { paste -sd, < "$folder/$1.$name"; }
    limit=${limit_of[$name]}
    echo "{\"bench\":\"ingest\",\"case\":\"$name\",\"sidewatch_us\":[$(list own)],\"floor_us\":[$(list floor)],\"floor\":\"${base_of[$name]}\"," \
        "\"ratio\":[$(list ratio)],\"limit\":$([ "$limit" = - ] && echo null || echo "$limit")}"
done
[ -z "$check" ] || exit "$failed"
