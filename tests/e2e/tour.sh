#!/usr/bin/env bash
# The first five minutes of a new user, in a network of their own, so that the default port is free:
#
#   tour.sh FOLDER
#
# FOLDER holds the program and becomes the home. What is seen is written there; tour.rs judges it.
set -euo pipefail
folder=$1
cd "$folder"
ip link set lo up
if [ -n "${SIDEWATCH_NOBODY:-}" ]; then
    chown "$SIDEWATCH_NOBODY" "$folder"
    user=(setpriv --reuid="$SIDEWATCH_NOBODY" --regid="$SIDEWATCH_NOBODY" --clear-groups)
fi
as_user() { "${user[@]}" env --ignore-environment HOME="$folder" XDG_STATE_HOME="$folder/state" PATH="$folder:$PATH" "$@"; }
# Asks until it is so; what is not so in the end shows in what is written down.
await() {
    for _ in $(seq 150); do
        if eval "$1" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    echo "in vain: $1" >>said
}

"${user[@]}" env --ignore-environment HOME="$folder" XDG_STATE_HOME="$folder/state" "$folder/sidewatch" >log 2>&1 &
agent=$!
trap 'kill -KILL $agent 2>/dev/null || true' EXIT
await 'as_user sidewatch query "up{job=\"node\"}" | grep -q up'

as_user sidewatch send count orders 3 --tag shop=a
as_user sidewatch send request --route '/items/{id}' --duration-ms 12.5
await 'as_user sidewatch query orders_total | grep -q "  3$"'
as_user sidewatch query orders_total >query
as_user sidewatch query 'count_over_time(up{job="node"}[1m]) > bool 0' --json >query.json
as_user sidewatch health >health || true
as_user sidewatch health --json >health.json || true
exec 3<>/dev/tcp/127.0.0.1/10842
printf 'GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
sed '1,/^\r$/d' <&3 >metrics

kill -TERM $agent
wait $agent && echo 0 >status || echo $? >status
if as_user sidewatch health >/dev/null 2>&1; then echo 0; else echo $?; fi >health-without-agent
find . -path './state/*' -o -name '.config*' >left
trap - EXIT
