#!/usr/bin/env bash
# What alerting rules cost, beside Debian's prometheus with the same rules over as many series of the same names and labels.
#
# usage: benches/rules.sh [--check] [--rules N] [--series N] [--mode scoped|global] [--firing] [--warm SECONDS] [--seconds N] [--rounds N]
# Prometheus scrapes a target of so many moving series (staticexp) every 5 s; the agent is sent events every 5 s of which it makes
# as many. Of both there are two, one with rules and one without. When the ranges of the rules are full (--warm) it is measured what
# each has run in a while; what the rules cost is the difference. The rules are those of gen_rules.py, evaluated every 5 s: thresholds of
# gauges, sums of rates, quantiles of histograms, absences and predictions, each of one service or (global) of all. None holds, on neither
# side; with --firing those of quantiles do, each for 25 series a service.
#
# Then senders and scrapes tell how long they wait for the agent with rules, for one with the same rules that evaluates them once an hour
# (it shows the same series of them), and for the one without.
# Prints the rounds and one line of JSON; with --check it fails when the limit is not kept. See benches/stage.sh for where programs are.
set -euo pipefail
cd "$(dirname "$0")/.."

check='' rules=1000 series=10000 mode=scoped firing='' warm=330 seconds=60 rounds=3
while [ $# -gt 0 ]; do
    case $1 in
        --check) check=1; shift ;;
        --rules) rules=$2; shift 2 ;;
        --series) series=$2; shift 2 ;;
        --mode) mode=$2; shift 2 ;;
        --firing) firing=1; shift ;;
        --warm) warm=$2; shift 2 ;;
        --seconds) seconds=$2; shift 2 ;;
        --rounds) rounds=$2; shift 2 ;;
        *) sed -n '2,/^set/p' "$0" | grep '^#'; exit 2 ;;
    esac
done
source benches/stage.sh
build_tools
variables=$(tests/prepare.sh)
eval "$variables"

services=$((series / 500))
python3 "$folder/bench/gen_rules.py" "$rules" "$services" "$mode" "$folder/rules.yml" 5s
# A fifth of a second at most, instead of four.
[ -z "$firing" ] || sed -i '/histogram_quantile/s/> 4/> 0/' "$folder/rules.yml"
# An event's `service` becomes its job; the label is called otherwise there.
mkdir -p "$folder/own-rules"
sed 's/service/team/g' "$folder/rules.yml" > "$folder/own-rules/rules.yml"

port=$((20000 + RANDOM % 10000))
"$folder/bench/bin/staticexp" "$port" "$series" > /dev/null &
pids+=("$!")
prometheus_of() {
    cat > "$folder/$1.yml" <<YAML
global: {scrape_interval: 5s, evaluation_interval: 5s}
rule_files: [$3]
scrape_configs: [{job_name: t, static_configs: [{targets: ["127.0.0.1:$port"]}]}]
YAML
    "$SIDEWATCH_PROMETHEUS" --config.file="$folder/$1.yml" --storage.tsdb.path="$folder/$1" --web.listen-address="127.0.0.1:$2" --log.level=error &
    pid_of[$1]=$!
    pids+=("$!")
}
prometheus_of theirs $((port + 1)) "$folder/rules.yml"
prometheus_of theirs-without $((port + 2)) ''
agent_of() {
    start "$1" "ingest: {stream: {path: $folder/$1/stream.sock}, datagram: {path: $folder/$1/datagram.sock}, series_per_sender_max: 1000000}
registry:
  series_max: 1000000
  series_per_metric_max: 1000000
  buckets: {metrics: {http_request_duration_seconds: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5]}}
history: {series_max: 1000000, bytes_max: 1073741824}"
}
mkdir -p "$folder/ours" "$folder/ours-resting/rules" "$folder/ours-without"
ln -s "$folder/own-rules" "$folder/ours/rules"
sed 's/interval: 5s/interval: 1h/' "$folder/own-rules/rules.yml" > "$folder/ours-resting/rules/rules.yml"
agents=(ours ours-resting ours-without)
for name in "${agents[@]}"; do agent_of "$name"; done

# At even distances, so that what has a steady rate has one here too.
feed() {
    local n=0 next=$(date +%s%3N) now
    while :; do
        series_lines "$services" "$n" > "$folder/lines"
        for name in "${agents[@]}"; do
            "$flood" --to "unix:$folder/$name/stream.sock" --lines "$folder/lines" --once > /dev/null
        done
        n=$((n + 1)) next=$((next + 5000)) now=$(date +%s%3N)
        [ "$next" -le "$now" ] || sleep "$(((next - now) / 1000)).$(printf %03d $(((next - now) % 1000)))"
    done
}
feed &
pids+=("$!")

sleep "$warm"
# What each has evaluated, to see that all rules have a value at each turn.
failures() { curl --silent "$@" | awk '$1 ~ /^prometheus_rule_(evaluation_failures|group_iterations_missed)_total/ { sum += $2 } END { printf "%d\n", sum }'; }
# Those of the packs are on both sides of the difference.
evaluations() { curl --silent "$@" | awk '$1 ~ /^prometheus_rule_evaluations_total.*rules.yml;g[0-9]/ { sum += $2 } END { printf "%d\n", sum }'; }
# What a process has run since it began, in ms, threads that have ended included.
ran() { awk -v tick="$(getconf CLK_TCK)" '{ print ($14 + $15) * 1000 / tick }' "/proc/${pid_of[$1]}/stat"; }
declare -A ran
alerts() { curl --silent "$@" | grep --only-matching '"activeAt"' | wc -l; }
waiting=()
names=(ours ours-without theirs theirs-without)
ours_at=(--unix-socket "$folder/ours/http.sock" http://localhost/metrics)
theirs_at=("http://127.0.0.1:$((port + 1))/metrics")
for name in "${agents[@]}"; do
    refused=$(metrics "$name" | awk '$1 ~ /^sidewatch_history_samples_refused_total.*over_limit/ { print $2 }')
    [ "$refused" = 0 ] || { echo "the history of $name refused $refused samples"; exit 1; }
done
active="$(alerts --unix-socket "$folder/ours/http.sock" http://localhost/api/v1/alerts) here, $(alerts "http://127.0.0.1:$((port + 1))/api/v1/alerts") there"
for round in $(seq "$rounds"); do
    a=$(evaluations "${ours_at[@]}") b=$(evaluations "${theirs_at[@]}")
    for name in "${names[@]}"; do ran[$name]=$(ran "$name"); done
    sleep "$seconds"
    for name in "${names[@]}"; do ran[$name]=$(($(ran "$name") - ran[$name])); done
    a=$(($(evaluations "${ours_at[@]}") - a)) b=$(($(evaluations "${theirs_at[@]}") - b))
    least=$((rules * seconds / 5 * 9 / 10))
    # A Prometheus that cannot keep up is measured by what it evaluates.
    [ "$a" -ge "$least" ] && [ "$b" -gt 0 ] || { echo "$a rules evaluated here and $b there, not $least"; exit 1; }
    # µs of a rule, ms/s of the whole.
    echo "${ran[ours]} ${ran[ours-without]} ${ran[theirs]} ${ran[theirs-without]}" |
        awk -v a="$a" -v b="$b" -v s="$seconds" '{ printf "%.2f %.2f %.1f %.1f\n", ($1 - $2) / a * 1e3, ($3 - $4) / b * 1e3, $1 / s, $3 / s }' >> "$folder/rounds"
    tail -n 1 "$folder/rounds" | awk -v r="$round" '{ print "round " r ": " $1 " µs a rule here, " $2 " there; in all " $3 " ms/s here, " $4 " there" }'
    echo "    $a rules evaluated here, $b there, of $((rules * seconds / 5))"
done
echo "alerts: $active"
# Whether anybody waits for evaluations: senders and scrapes of all agents, at the same time.
for name in "${agents[@]}"; do
    waits "$name" > "$folder/waits.$name" &
    waiting+=("$!")
    for _ in $(seq $((10 * seconds))); do
        scrape --unix-socket "$folder/$name/http.sock" http://localhost/metrics
        sleep 0.1
    done > "$folder/scrapes.$name" &
    waiting+=("$!")
done
wait "${waiting[@]}"
# waited NAME: what a sender waited, and what a scrape took, in ms: the median, the 99th percentile and the longest.
waited() {
    local of="$folder/waits.$1"
    echo "a sender waits $(field wait_p99_ms < "$of") ms (p99), $(field wait_max_ms < "$of") at most; a scrape takes" \
        "$(awk '{ print $2 * 1e3 }' "$folder/scrapes.$1" | sort -g | awk '{ v[NR] = $1 } END { printf "%.1f ms (median), %.1f (p99), %.1f at most", v[int((NR + 1) / 2)], v[int(NR * 0.99)], v[NR] }')"
}
echo "with rules    $(waited ours)"
echo "rules at rest $(waited ours-resting)"
echo "without       $(waited ours-without)"
echo "failures and missed turns: $(failures "${ours_at[@]}") here, $(failures "${theirs_at[@]}") there"
column() { awk -v n="$1" '{ print $n }' "$folder/rounds"; }
own=$(column 1 | median) other=$(column 2 | median)
times=$(awk -v a="$own" -v b="$other" 'BEGIN { printf "%.2f", b / a }')
said=$(verdict "-$times" -4)
[ "$said" = pass ] || failed=1
echo "$rules $mode rules over $series series: $own µs a rule here, $other there, $times times less; at least 4: $said"
list() { column "$1" | paste -sd,; }
echo "{\"bench\":\"rules\",\"rules\":$rules,\"series\":$series,\"mode\":\"$mode\",\"sidewatch_us\":[$(list 1)],\"prometheus_us\":[$(list 2)],\"sidewatch_ms_per_s\":[$(list 3)],\"prometheus_ms_per_s\":[$(list 4)],\"times\":$times}"
[ -z "$check" ] || exit "$failed"
