# Run by booted.sh under a fresh systemd: what happens is written down in /e2e, and package.rs judges it.
set -eu
cd /e2e

get() {
    exec 3<>/dev/tcp/127.0.0.1/10842
    printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$1" >&3
    sed '1,/^\r$/d' <&3
    exec 3>&-
}
# The state is asked for until it is there; what is missing in the end shows in what is written down.
await() {
    for _ in $(seq 100); do
        if eval "$1" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    echo "in vain: $1"
}
datagram() {
    /usr/bin/python3 -c 'import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect("/run/sidewatch/events.dgram.sock"); s.send(sys.argv[1].encode())' "$1"
}
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /e2e -o -path /work -o -path /home -o -path /root -o -path /tmp \
        -o -path /var/log -o -path /var/cache -o -path /var/lib/dpkg -o -path /opt -o -path /mnt \) -prune \
        -o -path "*sidewatch*" ! -type d -print | sort
    find /run/sidewatch /var/lib/sidewatch /etc/sidewatch 2>/dev/null | grep -v '^/etc/sidewatch' || true
}

mkdir /home-disk
mount -t tmpfs -o size=16m home-disk /home-disk
files >before
# A machine that has it already is not the machine to test this on.
dpkg -i sidewatch.deb
systemctl is-active sidewatch.socket sidewatch.service >active || true
systemctl status --no-pager sidewatch.service sidewatch.socket || true
systemd-analyze verify sidewatch.service sidewatch.socket >verify 2>&1 || true
stat -c '%A %U %G %n' /run/sidewatch/events* | sed 's|/run/sidewatch/||' | sort >sockets

datagram 'by_datagram:1|c'
await 'get /metrics | grep -q "^by_datagram_total"'
get /metrics >metrics
get '/readyz?verbose' >readyz || true
cat "/proc/$(systemctl show -P MainPID sidewatch.service)/mountinfo" >mountinfo

systemctl reload sidewatch.service
systemctl is-active sidewatch.service >reloaded || true

# The socket stays open while the agent is stopped. What comes in starts it again.
systemctl stop sidewatch.service
datagram 'while_stopped:1|c'
await 'get /metrics | grep -q "^while_stopped_total"'
get /metrics >metrics-after-restart

dpkg -r sidewatch
systemctl is-active sidewatch.socket sidewatch.service >removed || true
files | comm -13 before - >left-by-remove
dpkg -P sidewatch
files | comm -13 before - >left-by-purge
echo done >done
