#!/usr/bin/env bash
# What it costs to take in one tick of many series, beside Debian's prometheus that scrapes and stores as many.
#
# usage: benches/append.sh [--check] [--series N] [--scrapes N] [--rounds N]
# Prometheus scrapes a target of so many moving series (staticexp, beside the load generator) every 5 s; what all its threads run
# in so many scrapes' time, by the samples of those. In each round before it an hour of as many series goes into a history
# tick by tick (`examples/history.rs synthetic`); what `append` has run, by the samples, chunks and budget included.
#
# Prints the rounds and one line of JSON; with --check it fails when the limit is not kept.
# HISTORY is the example, by default target/release/examples/history; see benches/stage.sh for the rest.
set -euo pipefail
cd "$(dirname "$0")/.."

check='' series=100000 scrapes=12 rounds=3
while [ $# -gt 0 ]; do
    case $1 in
        --check) check=1; shift ;;
        --series) series=$2; shift 2 ;;
        --scrapes) scrapes=$2; shift 2 ;;
        --rounds) rounds=$2; shift 2 ;;
        *) sed -n '2,/^set/p' "$0" | grep '^#'; exit 2 ;;
    esac
done
history=${HISTORY:-target/release/examples/history}
# The stage asks for programs that are not needed here.
SIDEWATCH_BIN=$history FLOOD=$history source benches/stage.sh
build_tools
variables=$(tests/prepare.sh)
eval "$variables"

port=$((20000 + RANDOM % 10000))
"$folder/bench/bin/staticexp" "$((port + 1))" "$series" > /dev/null &
pids+=("$!")
cat > "$folder/prometheus.yml" <<YAML
scrape_configs: [{job_name: t, scrape_interval: 5s, static_configs: [{targets: ["127.0.0.1:$((port + 1))"]}]}]
YAML
"$SIDEWATCH_PROMETHEUS" --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" --web.listen-address="127.0.0.1:$port" --log.level=error &
prometheus=$!
pids+=("$prometheus")
# How many samples have been stored, and how often the target was scraped.
asked() { curl --silent "http://127.0.0.1:$port/metrics" | awk -v name="$1" '$1 ~ "^" name { sum += $2 } END { printf "%.0f\n", sum }'; }
stored() { asked 'prometheus_tsdb_head_samples_appended_total'; }
# Waits until that many samples have come.
until_stored() { for _ in $(seq 4000); do [ "$(stored)" -ge "$1" ] && return; sleep 0.05; done; echo 'prometheus does not scrape'; exit 1; }
until_stored "$series"

for round in $(seq "$rounds"); do
    "$history" synthetic --series "$series" --ticks 720 --noise 1 > "$folder/own"
    sed -n 's/.*append \([0-9]*\) ns of CPU a sample.*/\1/p' "$folder/own" >> "$folder/ours"
    until_stored $(($(stored) + series))
    threads "$prometheus" > "$folder/threads"
    before=$(stored)
    # To ask costs it something, too.
    sleep $((5 * scrapes))
    now=$(spent "$prometheus" "$folder/threads")
    awk -v ns="$now" -v samples="$(($(stored) - before))" 'BEGIN { printf "%.0f\n", ns / samples }' >> "$folder/theirs"
    echo "round $round: $(tail -n 1 "$folder/ours") ns a sample here, $(tail -n 1 "$folder/theirs") ns there"
done
a=$(median < "$folder/ours") b=$(median < "$folder/theirs")
times=$(awk -v a="$a" -v b="$b" 'BEGIN { printf "%.2f", b / a }')
said=$(verdict "-$times" -5)
[ "$said" = pass ] || failed=1
echo "$series series: $a ns a sample here, $b ns there, $times times less; at least 5: $said"
echo "{\"bench\":\"append\",\"series\":$series,\"sidewatch_ns\":[$(paste -sd, "$folder/ours")],\"prometheus_ns\":[$(paste -sd, "$folder/theirs")],\"times\":$times}"
[ -z "$check" ] || exit "$failed"
