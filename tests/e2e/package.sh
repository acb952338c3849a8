# Run by booted.sh on a copy of this machine: what happens to the package is written down in /e2e, and package.rs judges it.
set -eu
export LC_ALL=C
cd /e2e

get() {
    exec 3<>/dev/tcp/127.0.0.1/10842
    printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$1" >&3
    sed '1,/^\r$/d' <&3
    exec 3>&-
}
# Asks until it is so; what is not so in the end shows in what is written down.
await() {
    for _ in $(seq 100); do
        if eval "$1" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    echo "in vain: $1"
}
datagram() {
    python3 -c 'import socket, sys
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sender.connect("/run/sidewatch/events.dgram.sock")
sender.send(sys.argv[1].encode())' "$1"
}
# Everything of ours where packages and services put things.
files() {
    find /etc /usr /var/lib /run -xdev -path /var/lib/dpkg -prune -o -path '*sidewatch*' -print 2>/dev/null | sort
}

files >before
mkdir /disk /late
mount -t tmpfs -o size=16m disk /disk
dpkg -i sidewatch.deb
sidewatch --version >version
getent passwd sidewatch >user
# They are there, and none is empty.
find /usr/share/bash-completion/completions /usr/share/zsh /usr/share/fish -name '*sidewatch*' -size +1k >completions || true
test -d /run/sidewatch

if [ -d /run/systemd/system ]; then
    mount -t tmpfs -o size=16m late /late
    systemctl is-active sidewatch.socket sidewatch.service >active || true
    systemctl status --no-pager sidewatch.service sidewatch.socket || true
    { systemd-analyze verify sidewatch.service sidewatch.socket && echo verified; } >verify 2>&1 || true
    stat -c '%A %U %G %n' /run/sidewatch/*.sock | sed 's|/run/sidewatch/||' | sort >sockets

    datagram 'by_datagram:1|c'
    await 'get /metrics | grep -q "^by_datagram_total"'
    await 'get /metrics | grep -q "mountpoint=./late"'
    get /metrics >metrics
    echo $(($(stat --file-system --format='%b * %S' /tmp))) >size-of-tmp
    cat "/proc/$(systemctl show -P MainPID sidewatch.service)/mountinfo" >mountinfo

    systemctl reload sidewatch.service
    systemctl is-active sidewatch.service >reloaded || true

    # Who may change it: root, and whoever has the socket's group; the agent itself is neither.
    {
        sidewatch reload
        setpriv --reuid=nobody --regid=nogroup --groups=sidewatch sidewatch silence add A --duration 1h >/dev/null
        setpriv --reuid=nobody --regid=nogroup --clear-groups sidewatch silence list || true
        sidewatch silence list
    } >control 2>&1 || true

    # The socket stays open while the agent is stopped. What comes in starts it again.
    systemctl stop sidewatch.service
    datagram 'while_stopped:1|c'
    await 'get /metrics | grep -q "^while_stopped_total"'
    get /metrics >metrics-after-restart
fi

dpkg -r sidewatch
[ ! -d /run/systemd/system ] || systemctl is-active sidewatch.socket sidewatch.service >stopped || true
files | comm -13 before - >left-by-remove
dpkg -P sidewatch
files | comm -13 before - >left-by-purge
echo done >done
