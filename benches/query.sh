#!/usr/bin/env bash
# What queries over an hour of many series cost, beside Debian's prometheus that holds the same samples; and what memory both take.
#
# usage: benches/query.sh [--check] [--series "10000 100000"] [--rounds N]
# For each number of series: an hour at 5 s is written into prometheus by remote write and into a history by
# `examples/loaded.rs`, which then serves the agent's own query API over it (the agent takes no samples of the past, so that
# neither collectors nor sockets, recorder or rules are part of this). Both are asked in turn, without compression. The CPU
# of a query is what all threads of the process have run while it was answered, JSON included; the median of the rounds.
#
# Prints a table and one line of JSON for each number of series; with --check it fails when a limit is not kept.
# LOADED is the program, by default target/release/examples/loaded.
set -euo pipefail
cd "$(dirname "$0")/.."

check='' all_series='10000 100000' rounds=5
while [ $# -gt 0 ]; do
    case $1 in
        --check) check=1; shift ;;
        --series) all_series=$2; shift 2 ;;
        --rounds) rounds=$2; shift 2 ;;
        *) sed -n '2,/^set/p' "$0" | grep '^#'; exit 2 ;;
    esac
done
loaded=${LOADED:-target/release/examples/loaded}
# The stage asks for programs that are not needed here.
SIDEWATCH_BIN=$loaded FLOOD=$loaded source benches/stage.sh
variables=$(tests/prepare.sh)
eval "$variables"

requests='rate(http_requests_total[5m])'
names=(rate sum quantile range)
declare -A query=(
    [rate]="$requests"
    [sum]="sum by (service) ($requests)"
    [quantile]='histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))'
    [range]="sum by (code) ($requests)"
)

# ask PORT NAME: answers the body.
ask() {
    if [ "$2" = range ]; then
        curl --silent --fail-with-body "http://127.0.0.1:$1/api/v1/query_range" --data-urlencode "query=${query[$2]}" \
            -d "start=$((end - 3600 + 300))" -d "end=$end" -d step=15
    else
        curl --silent --fail-with-body "http://127.0.0.1:$1/api/v1/query" --data-urlencode "query=${query[$2]}" -d "time=$end"
    fi
}
# cost PID PORT NAME: ms of CPU of one query.
cost() {
    threads "$1" > "$folder/threads"
    ask "$2" "$3" > "$folder/answer.$3.$2" || { head -c 500 "$folder/answer.$3.$2" >&2; exit 1; }
    spent "$1" "$folder/threads" | awk '{ printf "%.3f\n", $1 / 1e6 }'
}
resident() { awk '/^VmRSS/ { printf "%.1f\n", $2 / 1024 }' "/proc/$1/status"; }
# How many series an answer has, to see that both answer the same.
answered() { grep -o '"metric"' "$1" | wc -l; }

row() { printf '%10s %-10s %14s %14s %8s %8s %8s\n' "$@"; }
table=() json=()
for series in $all_series; do
    port=$((20000 + RANDOM % 10000))
    echo 'global: {scrape_interval: 1m}' > "$folder/prometheus.yml"
    "$SIDEWATCH_PROMETHEUS" --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data.$series" \
        --web.listen-address="127.0.0.1:$port" --web.enable-remote-write-receiver --log.level=error &
    prometheus=$!
    pids+=("$prometheus")
    for _ in $(seq 200); do curl --silent --fail --output /dev/null "http://127.0.0.1:$port/-/ready" && break; sleep 0.05; done
    "$loaded" --series "$series" --listen "127.0.0.1:$((port + 1))" --prometheus "127.0.0.1:$port" > "$folder/loaded.$series" &
    own=$!
    pids+=("$own")
    until [ -s "$folder/loaded.$series" ]; do kill -0 "$own" || exit 1; sleep 0.2; done
    read -r end held bytes < "$folder/loaded.$series"
    [ "$held" = "$series" ] || { echo "history holds $held of $series series"; exit 1; }
    # Until nothing is left to do of what was written.
    while :; do
        threads "$prometheus" > "$folder/threads"
        sleep 2
        [ "$(spent "$prometheus" "$folder/threads")" -gt 40000000 ] || break
    done
    own_mib=$(resident "$own") prometheus_mib=$(resident "$prometheus")

    figures=''
    for name in "${names[@]}"; do
        rm -f "$folder/own" "$folder/theirs"
        for _ in $(seq "$rounds"); do
            cost "$own" $((port + 1)) "$name" >> "$folder/own"
            cost "$prometheus" "$port" "$name" >> "$folder/theirs"
        done
        here=$(answered "$folder/answer.$name.$((port + 1))") there=$(answered "$folder/answer.$name.$port")
        [ "$here" = "$there" ] || { echo "$name: $here series here, $there there"; exit 1; }
        a=$(median < "$folder/own") b=$(median < "$folder/theirs")
        times=$(awk -v a="$a" -v b="$b" 'BEGIN { printf "%.2f", b / a }')
        said=$(verdict "-$times" -5)
        [ "$said" = pass ] || failed=1
        table+=("$(row "$series" "$name" "$a" "$b" "$times" 5 "$said")")
        figures+=",\"$name\":{\"sidewatch_ms\":[$(paste -sd, "$folder/own")],\"prometheus_ms\":[$(paste -sd, "$folder/theirs")],\"times\":$times}"
    done
    times=$(awk -v a="$own_mib" -v b="$prometheus_mib" 'BEGIN { printf "%.2f", b / a }')
    # The promise is for many series; few drown in what a program takes by itself.
    least=-
    said=-
    if [ "$series" -ge 100000 ]; then
        least=4
        said=$(verdict "-$times" -4)
        [ "$said" = pass ] || failed=1
    fi
    table+=("$(row "$series" 'MiB' "$own_mib" "$prometheus_mib" "$times" "$least" "$said")")
    json+=("{\"bench\":\"query\",\"series\":$series,\"sidewatch_mib\":$own_mib,\"prometheus_mib\":$prometheus_mib,\"history_bytes\":$bytes$figures}")
    kill "$own" "$prometheus"
    wait "$own" "$prometheus" 2>/dev/null || true
    rm -rf "$folder/data.$series"
done
echo "CPU of a query in ms, medians of $rounds rounds; an hour at 5 s, the library's history, engine and HTTP against prometheus"
row series query sidewatch prometheus times limit verdict
printf '%s\n' "${table[@]}" "${json[@]}"
[ -z "$check" ] || exit "$failed"
