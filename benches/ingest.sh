#!/usr/bin/env bash
# What an event costs, beside what the same lines cost a bare receiver: the load generator floods sidewatch and the
# receiver in turn, over every transport, and the CPU that each has spent (/proc/PID/task/*/schedstat) is divided by the
# events that each has counted itself.
#
# usage: benches/ingest.sh [SECONDS [ROUNDS]]
# SIDEWATCH_BENCH names the folder with the generator (sgen) and the receiver (floor), by default ../shared/bench;
# SIDEWATCH_BIN the agent, by default target/release/sidewatch.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-4}
rounds=${2:-3}
agent=${SIDEWATCH_BIN:-target/release/sidewatch}
source=${SIDEWATCH_BENCH:-../shared/bench}
[ -d "$source/src" ] || { echo "no load generator at $source: set SIDEWATCH_BENCH"; exit 1; }
[ -x "$agent" ] || { echo "no $agent: run \`make build\` first"; exit 1; }

folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$folder"' EXIT
cp -r "$source/." "$folder/bench"
chmod -R u+w "$folder/bench"
make --silent -C "$folder/bench" 2>/dev/null

cat > "$folder/sidewatch.yml" <<YAML
http: {listen: ["unix:$folder/http.sock"]}
ingest: {stream: {path: $folder/stream.sock}, datagram: {path: $folder/datagram.sock}}
rules: {folder: $folder/rules}
log: {level: error}
YAML
"$agent" --config "$folder/sidewatch.yml" &
pid=$!
pids+=("$pid")
metrics() { curl --silent --unix-socket "$folder/http.sock" http://localhost/metrics; }
for _ in $(seq 100); do metrics >/dev/null && break; sleep 0.05; done

# mawk's integers end at 2^31, its floats do not.
cpu() { cat "/proc/$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f\n", sum }'; }
counted() { metrics | awk '/^sidewatch_ingest_events_total/ { sum += $2 } END { printf "%.0f\n", sum }'; }
flood() { "$folder/bench/bin/sgen" -t "$1" -a "$2" -d dog -T h -p "$3" -n "$seconds" >/dev/null; }

printf '%-34s %12s %12s %8s\n' "200 label sets, flood, us an event" sidewatch floor ratio
for round in $(seq "$rounds"); do
    for case in "unix stream 8000" "unixgram datagram 8000" "unixgram datagram 0"; do
        read -r transport socket pack <<< "$case"
        events=$(counted)
        before=$(cpu "$pid")
        flood "$transport" "$folder/$socket.sock" "$pack"
        # What has been read is counted after a flush interval of 100 ms.
        sleep 0.3
        own=$(echo "$(cpu "$pid") $before $(counted) $events" | awk '{ printf "%.4f", ($1 - $2) / 1000 / ($3 - $4) }')

        "$folder/bench/bin/floor" -t "$transport" -a "$folder/floor.sock" -m agg > "$folder/floor.json" &
        receiver=$!
        sleep 0.3
        flood "$transport" "$folder/floor.sock" "$pack"
        sleep 0.5
        kill -INT "$receiver" 2>/dev/null || true
        wait "$receiver" 2>/dev/null || true
        rm -f "$folder/floor.sock"
        floor=$(grep -o '"ns_per_ev":[0-9.]*' "$folder/floor.json" | cut -d: -f2 | awk '{ printf "%.4f", $1 / 1000 }')
        name="$socket, $([ "$pack" = 0 ] && echo "a line each" || echo "$pack bytes")"
        echo "$name|$own|$floor" | awk -F'|' -v round="$round" '{ printf "%-34s %12s %12s %8.2f\n", $1 " (" round ")", $2, $3, $2 / $3 }'
    done
done
