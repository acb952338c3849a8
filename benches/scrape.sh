#!/usr/bin/env bash
# What a scrape of many series costs, without compression, beside Debian's prometheus-pushgateway that holds the same series;
# and whether events wait meanwhile.
#
# usage: benches/scrape.sh [--check] [--sorted] [--series "10000 100000"] [--seconds N] [--rounds N]
# For each number of series: the agent is sent events until it shows so many series (gauges, counters and histograms, as
# samples on /metrics); the same series are pushed to the pushgateway; both are scraped in turn. The CPU of a scrape is what
# the process has run while it was scraped, less what it runs at rest, by the number of scrapes.
#
# Both get the series service by service, as a set of services would bring them, and have to sort them. With --sorted the
# pushgateway gets them in the order in which it shows them, which is the least work that it can have.
# Prints a table and one line of JSON for each number of series; with --check it fails when a limit is not kept.
# See benches/stage.sh for where the programs are; `tests/prepare.sh bench` fetches the pushgateway.
set -euo pipefail
cd "$(dirname "$0")/.."

check='' sorted='' all_series='10000 100000' seconds=10 rounds=3
while [ $# -gt 0 ]; do
    case $1 in
        --check) check=1; shift ;;
        --sorted) sorted=1; shift ;;
        --series) all_series=$2; shift 2 ;;
        --seconds) seconds=$2; shift 2 ;;
        --rounds) rounds=$2; shift 2 ;;
        *) sed -n '2,/^set/p' "$0" | grep '^#'; exit 2 ;;
    esac
done
source benches/stage.sh
build_tools
variables=$(tests/prepare.sh bench)
eval "$variables"

sample='^(app_pool_utilization|disk_free_bytes|http_requests_total|http_request_duration_seconds)'
# to_push NAME SERIES PORT: the text that the pushgateway gets.
to_push() {
    if [ -n "$sorted" ]; then
        metrics "$1" | grep -E "$sample|^# (HELP|TYPE) ${sample#^}( |\$)"
        return
    fi
    "$folder/bench/bin/staticexp" "$3" "$2" >/dev/null 2>&1 &
    local target=$!
    curl --silent --fail --retry 20 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$3/metrics" | sed 's/service="/team="/'
    kill "$target"
}

# cost PID URL…: ms of CPU of one scrape. `scrapes` of them are spread evenly over as long as the rest before them.
cost() {
    local pid=$1 rest spent begin
    shift
    scrape "$@" > "$folder/warm"
    threads "$pid" > "$folder/threads"
    sleep "$seconds"
    rest=$(spent "$pid" "$folder/threads")
    threads "$pid" > "$folder/threads"
    begin=$EPOCHREALTIME
    for n in $(seq "$scrapes"); do
        scrape "$@" > "$folder/scraped"
        sleep "$(awk -v begin="$begin" -v now="$EPOCHREALTIME" -v n="$n" -v all="$scrapes" -v length_s="$seconds" \
            'BEGIN { left = begin + n * length_s / all - now; print (left > 0 ? left : 0) }')"
    done
    spent=$(spent "$pid" "$folder/threads")
    awk -v spent="$spent" -v rest="$rest" -v ran="$(awk -v a="$EPOCHREALTIME" -v b="$begin" 'BEGIN { print a - b }')" \
        -v length_s="$seconds" -v n="$scrapes" 'BEGIN { printf "%.3f\n", (spent - rest * ran / length_s) / n / 1e6 }'
}

row() { printf '%10s %12s %14s %8s %8s %8s %12s %12s %14s %14s\n' "$@"; }
table=() json=()
for series in $all_series; do
    name=s$series
    scrapes=$((series > 20000 ? seconds : 4 * seconds))
    start "$name" "ingest: {stream: {path: $folder/$name/stream.sock}, datagram: {path: $folder/$name/datagram.sock}, series_per_sender_max: 1000000}
registry:
  series_max: 1000000
  series_per_metric_max: 1000000
  buckets: {metrics: {http_request_duration_seconds: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5]}}
history: {resolution: 1h}
promql: {lookback: 1h}"
    series_lines $((series / 500)) 7 > "$folder/lines"
    "$flood" --to "unix:$folder/$name/stream.sock" --lines "$folder/lines" --once > /dev/null
    for _ in $(seq 100); do
        shown=$(metrics "$name" | grep -cE "$sample" || true)
        [ "$shown" = "$series" ] && break
        sleep 0.1
    done
    [ "$shown" = "$series" ] || { echo "the agent shows $shown of $series series"; exit 1; }

    port=$((20000 + RANDOM % 10000))
    "$SIDEWATCH_PUSHGATEWAY" --web.listen-address="127.0.0.1:$port" --persistence.file= --log.level=error &
    gateway=$!
    pids+=("$gateway")
    for _ in $(seq 100); do curl --silent --fail --output /dev/null "http://127.0.0.1:$port/-/ready" && break; sleep 0.05; done
    to_push "$name" "$series" $((port + 1)) | curl --silent --fail --show-error --data-binary @- "http://127.0.0.1:$port/metrics/job/bench"
    held=$(curl --silent "http://127.0.0.1:$port/metrics" | grep -cE "$sample" || true)
    [ "$held" = "$series" ] || { echo "the pushgateway holds $held of $series series"; exit 1; }

    for _ in $(seq "$rounds"); do
        cost "${pid_of[$name]}" --unix-socket "$folder/$name/http.sock" http://localhost/metrics >> "$folder/own.$name"
        cp "$folder/scraped" "$folder/own.scraped"
        cost "$gateway" "http://127.0.0.1:$port/metrics" >> "$folder/gateway.$name"
    done
    paste "$folder/own.$name" "$folder/gateway.$name" | awk '{ printf "%.4f\n", $2 / $1 }' > "$folder/ratio.$name"
    kill "$gateway"

    rest=$(waits "$name")
    while :; do metrics "$name" > /dev/null; done &
    scraper=$!
    during=$(waits "$name")
    kill "$scraper"
    wait "$scraper" 2>/dev/null || true
    kill "${pid_of[$name]}"

    own=$(median < "$folder/own.$name") gateways=$(median < "$folder/gateway.$name") ratio=$(median < "$folder/ratio.$name")
    # The limit is a least, and `verdict` knows mosts.
    said=$(verdict "-$ratio" -12)
    waited=$(verdict "$(field wait_p99_ms <<< "$during")" 5)
    [ "$said$waited" = passpass ] || failed=1
    read -r bytes wall < "$folder/own.scraped"
    of() { echo "$(field wait_p99_ms <<< "$1") $(field wait_max_ms <<< "$1")"; }
    table+=("$(row "$series" "$own" "$gateways" "$ratio" 12 "$said" "$(awk -v s="$wall" 'BEGIN { printf "%.1f", s * 1e3 }')" "$waited" "$(of "$rest")" "$(of "$during")")")
    list() { paste -sd, < "$folder/$1.$name"; }
    json+=("{\"bench\":\"scrape\",\"series\":$series,\"sidewatch_ms\":[$(list own)],\"pushgateway_ms\":[$(list gateway)],\"times\":[$(list ratio)],\"limit\":12,\"bytes\":$bytes,\"wall_s\":$wall,\"waits_at_rest\":$rest,\"waits_while_scraped\":$during}")
done
echo "CPU of a scrape in ms, $rounds rounds, medians; waits of a sender in ms, p99 and longest, at rest and while one scrape follows the other"
row series sidewatch pushgateway times limit verdict 'wall, ms' 'p99 <= 5' 'at rest' 'while scraped'
printf '%s\n' "${table[@]}" "${json[@]}"
[ -z "$check" ] || exit "$failed"
