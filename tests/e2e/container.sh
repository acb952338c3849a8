# Run by booted.sh where no systemd runs: what happens is written down in /e2e, and package.rs judges it.
set -eu
cd /e2e

files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /e2e -o -path /work -o -path /home -o -path /root -o -path /tmp \
        -o -path /var/log -o -path /var/cache -o -path /var/lib/dpkg -o -path /opt -o -path /mnt \) -prune -o -path "*sidewatch*" -print | sort
    find /run/sidewatch /var/lib/sidewatch 2>/dev/null || true
}

files >before
dpkg -i sidewatch.deb
sidewatch --version >version
getent passwd sidewatch >user
test -d /run/sidewatch
dpkg -P sidewatch
files | comm -13 before - >left-by-purge
echo done >done
