#!/usr/bin/env bash
# Runs a script as root on a copy of this machine that vanishes afterwards: namespaces of its own (processes, mounts,
# network, cgroups), and an overlay over the root filesystem that is kept in memory.
#
#   booted.sh systemd|plain FOLDER
#
# FOLDER is bound to /e2e there, and its script.sh is run: as a unit of a systemd that is booted there, or plainly, as in a
# container. Exits with 77 when this machine does not permit it.
set -euo pipefail

if [ "${1:-}" != inside ]; then
    mode=$1 folder=$2
    # A cgroup of its own, so that what systemd makes is found and taken away.
    cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
    [ -n "$cgroups" ] || exit 77
    cgroup=$cgroups/sidewatch-e2e-$$
    mkdir "$cgroup" 2>/dev/null || exit 77
    trap 'find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || true' EXIT
    unshare --mount --pid --fork --cgroup --ipc --uts --net true 2>/dev/null || exit 77
    status=0
    # The shell that enters the cgroup is not this one, which has to leave it behind to remove it.
    bash -c 'echo $$ >"$1/cgroup.procs" && exec timeout --kill-after=5 120 unshare --mount --propagation private --pid --fork \
        --cgroup --ipc --uts --net bash "$2" inside "$3" "$4"' - "$cgroup" "$0" "$mode" "$folder" </dev/null >"$folder/console" 2>&1 || status=$?
    for _ in $(seq 50); do
        [ -n "$(find "$cgroup" -name cgroup.procs -exec cat {} + 2>/dev/null)" ] || break
        sleep 0.1
    done
    # Under sudo: what was written belongs to whoever has to take it away.
    chown --recursive "${SUDO_UID:-0}" "$folder"
    exit "$status"
fi

mode=$2 folder=$3
# The mount is seen in this mount namespace only.
base=$folder/copy
mkdir "$base"
mount -t tmpfs tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/root"
root=$base/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$root" || exit 77
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir "$root/e2e"
mount --bind "$folder" "$root/e2e"
mkdir "$root/run/old"
ip link set lo up

# Nothing of what this machine runs is started there.
units=$root/etc/systemd/system
rm -rf "$units"/*.wants "$units"/*.requires
# Images of machines forbid packages to start anything; here that is what is to be seen.
[ "$mode" = plain ] || rm -f "$root/usr/sbin/policy-rc.d"
mkdir -p "$units/basic.target.wants"
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-udevd-kernel.socket systemd-udevd-control.socket \
    systemd-timesyncd.service systemd-remount-fs.service systemd-logind.service systemd-journal-flush.service \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount getty.target; do
    ln -sf /dev/null "$units/$unit"
done
: >"$root/etc/fstab"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
cat >"$units/e2e.service" <<'UNIT'
[Unit]
DefaultDependencies=no
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/bash /e2e/script.sh
StandardOutput=file:/e2e/said
StandardError=file:/e2e/said
ExecStopPost=/bin/systemctl exit 0 --force --force
UNIT
ln -s ../e2e.service "$units/basic.target.wants/e2e.service"

cd "$root"
pivot_root . run/old
cd /
umount --lazy /run/old
# As systemd does on a machine: what is mounted later is seen inside the services' sandboxes.
mount --make-rshared /
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
if [ "$mode" = systemd ]; then
    exec env --ignore-environment container=other PATH="$PATH" /lib/systemd/systemd --system --unit=basic.target --log-target=console --log-level=warning
fi
exec bash /e2e/script.sh >/e2e/said 2>&1
