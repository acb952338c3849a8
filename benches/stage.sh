# What the measurements of the whole process have in common; sourced by them, from the root of the repository.
#
# SIDEWATCH_BIN is the agent, by default target/release/sidewatch; FLOOD the generator for what sgen cannot send, by
# default target/release/examples/flood; SIDEWATCH_BENCH the folder with the load generator (sgen) and the bare receiver
# (floor), by default ../shared/bench.

agent=${SIDEWATCH_BIN:-target/release/sidewatch}
flood=${FLOOD:-target/release/examples/flood}
bench=${SIDEWATCH_BENCH:-../shared/bench}
[ -x "$agent" ] || { echo "no $agent: run \`make build\` first"; exit 1; }
[ -x "$flood" ] || { echo "no $flood: run \`cargo build --release --locked --example flood\` first"; exit 1; }

folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$folder"' EXIT
failed=0

# start NAME YAML: an agent with sockets in a folder of its own; its process is pid_of[NAME].
declare -A pid_of
start() {
    mkdir -p "$folder/$1"
    cat > "$folder/$1/sidewatch.yml" <<YAML
state: $folder/$1/state
http: {listen: ["unix:$folder/$1/http.sock"]}
rules: {folder: $folder/$1/rules}
log: {level: error}
$2
YAML
    "$agent" --config "$folder/$1/sidewatch.yml" &
    pid_of[$1]=$!
    pids+=("$!")
    for _ in $(seq 200); do
        curl --silent --fail --output /dev/null --unix-socket "$folder/$1/http.sock" http://localhost/readyz && return
        sleep 0.05
    done
    echo "the agent is not ready"
    exit 1
}
metrics() { curl --silent --unix-socket "$folder/$1/http.sock" http://localhost/metrics; }
# True when the configuration has this key.
# (All of it is read: the agent does not like its output to be closed.)
knows() { "$agent" check --print-schema | grep "\"$1\"" > /dev/null; }

# What every thread of a process has run, in ns, from the scheduler. `spent` is the sum of what those that live now have
# run since: the sum over all would fall when a thread ends.
threads() { awk '{ split(FILENAME, part, "/"); print part[5], $1 }' "/proc/$1"/task/*/schedstat 2>/dev/null; }
spent() { threads "$1" | awk 'NR == FNR { before[$1] = $2; next } { sum += $2 - before[$1] } END { printf "%.0f\n", sum }' "$2" -; }

median() { sort -g | awk '{ value[NR] = $1 } END { print NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'; }

# verdict VALUE LIMIT: "-" where there is no limit.
verdict() {
    if [ "$2" = - ]; then echo -; return; fi
    if awk -v value="$1" -v limit="$2" 'BEGIN { exit !(value <= limit) }'; then echo pass; else echo FAIL; fi
}

# The load generator and the synthetic target, built in the folder: bin/sgen, bin/floor, bin/staticexp.
build_tools() {
    [ -d "$bench/src" ] || { echo "no load generator at $bench: set SIDEWATCH_BENCH"; exit 1; }
    cp -r "$bench/." "$folder/bench"
    chmod -R u+w "$folder/bench"
    make --silent -C "$folder/bench" 2>/dev/null
}

# series_lines SERVICES ROUND: events that make the series of staticexp, the synthetic target, as they are 5 s after those of the round before: gauges
# that swing and gauges that fall steadily, counters of steady rates, histograms of which each observation lies where most do. A service is 500 samples:
# 100 gauges, 150 counters, 25 histograms of 8 buckets, a sum and a count. An event's `service` becomes its job, so the label is `team` here.
series_lines() {
    awk -v services="$1" -v round="$2" 'BEGIN {
        srand(42)
        split("GET POST PUT", method, " "); split("200 201 304 404 500", status, " ")
        # 20 observations, in ms: their shares of the buckets.
        of = split("4 4 8 8 8 8 30 30 30 30 30 30 70 70 70 70 300 300 300 800", typical, " ")
        t = 5 * round
        for (s = 0; s < services; s++) {
            tag = sprintf("team:svc%03d", s)
            for (i = 0; i < 50; i++) { base = rand(); printf "app.pool.utilization:%.4f|g|#%s,pool:p%02d\n", base + 0.2 * sin(t / 60 + base * 7), tag, i }
            for (i = 0; i < 50; i++) printf "disk.free.bytes:%.0f|g|#%s,device:d%02d\n", 1e10 + rand() * 1e11 - rand() * 1e6 * t, tag, i
            for (r = 0; r < 10; r++) for (m = 1; m <= 3; m++) for (k = 1; k <= 5; k++) {
                step = 5 * (0.2 + 20 * rand())
                printf "http.requests:%d|c|#%s,route:/api/v1/r%02d,method:%s,code:%s\n", int(step * (round + 1)) - int(step * round), tag, r, method[m], status[k]
            }
            for (r = 0; r < 25; r++) {
                printf "http.request.duration"
                for (v = 1; v <= of; v++) printf ":%.3f", typical[v] * (1 + 0.2 * sin(t * v + r))
                printf "|ms|#%s,route:/api/v1/r%02d\n", tag, r
            }
        }
    }'
}

# scrape URL…: one scrape, its bytes and seconds.
scrape() { curl --silent --fail --output /dev/null --write-out '%{size_download} %{time_total}\n' "$@"; }

# waits NAME: how long a sender waits for the agent to read: writes of 4 KiB, 1,000 a second, of which only one fits into the
# kernel's buffer, so that the next one takes as long as the agent's pause. A flood line has about 60 bytes.
waits() {
    awk 'BEGIN { srand(3); for (i = 0; i < 20000; i++) printf "gap.duration:%.3f|ms|#route:/api/v1/r%02d,method:GET,status:200\n", rand() * 100, rand() * 100 }' > "$folder/timers"
    "$flood" --to "unix:$folder/$1/stream.sock" --lines "$folder/timers" --pack 4096 --rate 65000 --seconds "$seconds" --small-buffer
}
field() { grep -o "\"$1\":[0-9.]*" | cut -d: -f2; }
