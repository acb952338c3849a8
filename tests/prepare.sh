#!/usr/bin/env bash
# Gets what the tests meet: Debian's prometheus, promtool, node_exporter, Alertmanager and haproxy, systemd's tools, Python with the clients `datadog` and
# `statsd` from PyPI, Node.js with the client `hot-shots` from npm. What is there already is used as it is; everything else is named before it is fetched. The last lines it
# prints, behind "export", are the variables that the tests read. `tests/prepare.sh bench` adds what only benches/ compares
# with: Debian's prometheus-pushgateway.
#
# The servers are unpacked, not installed: their packages would start them on this machine.
set -euo pipefail
cd "$(dirname "$0")"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/sidewatch
mkdir -p "$cache"
# Two runs at once must not write the same folders.
exec 8>"$cache/prepare.lock"
flock 8

say() { echo "prepare: $*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo -n "$@"
    else say "needs root (or sudo without a password) for: $*"; return 1
    fi
}

apt_lists() {
    # Fresh machines and containers come without package lists.
    [ -n "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit 2>/dev/null)" ] || as_root apt-get update -q >&2
}

apt_install() {
    say "installing Debian's $*"
    apt_lists
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >&2 ||
        { as_root apt-get update -q >&2; as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >&2; }
}

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v make >/dev/null || missing+=(make)
command -v systemd-analyze >/dev/null && command -v systemd-socket-activate >/dev/null || missing+=(systemd)
command -v dpkg-shlibdeps >/dev/null || missing+=(dpkg-dev)
command -v ip >/dev/null || missing+=(iproute2)
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
command -v node >/dev/null || missing+=(nodejs libnode-dev)
command -v npm >/dev/null || missing+=(npm)
command -v g++ >/dev/null || missing+=(g++) # the client's datagram socket is built here
[ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"

peers=$cache/peers
# peer PACKAGE: unpacks it beside the others, once.
peer() {
    [ -d "$peers/$1" ] && return
    say "unpacking Debian's $1 into $peers"
    rm -rf "$peers/$1.new"
    mkdir -p "$peers/$1.new/deb"
    apt_lists
    (cd "$peers/$1.new/deb" && { apt-get download -q "$1" || { as_root apt-get update -q && apt-get download -q "$1"; }; }) >&2
    dpkg-deb --extract "$peers/$1.new/deb/$1"_*.deb "$peers/$1.new"
    rm -rf "$peers/$1.new/deb"
    mv "$peers/$1.new" "$peers/$1"
}

prometheus=$(command -v prometheus || true)
promtool=$(command -v promtool || true)
if [ -z "$prometheus" ] || [ -z "$promtool" ]; then
    peer prometheus
    prometheus=$peers/prometheus/usr/bin/prometheus
    promtool=$peers/prometheus/usr/bin/promtool
fi
node_exporter=$(command -v prometheus-node-exporter || true)
if [ -z "$node_exporter" ]; then
    peer prometheus-node-exporter
    node_exporter=$peers/prometheus-node-exporter/usr/bin/prometheus-node-exporter
fi
haproxy=$(command -v haproxy || true)
if [ -z "$haproxy" ]; then
    # With the libraries that a plain machine does not have, since nothing is installed.
    for package in haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1; do peer "$package"; done
    haproxy=$cache/peers/haproxy/haproxy
    libraries=$(find "$peers"/liblua5.3-0 "$peers"/libopentracing* -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "'$libraries'" "'$peers/haproxy/usr/sbin/haproxy'" >"$haproxy"
    chmod +x "$haproxy"
fi
alertmanager=$(command -v prometheus-alertmanager || true)
if [ -z "$alertmanager" ]; then
    peer prometheus-alertmanager
    alertmanager=$peers/prometheus-alertmanager/usr/bin/prometheus-alertmanager
fi

pushgateway=
if [ "${1-}" = bench ]; then
    pushgateway=$(command -v prometheus-pushgateway || true)
    if [ -z "$pushgateway" ]; then
        peer prometheus-pushgateway
        pushgateway=$peers/prometheus-pushgateway/usr/bin/prometheus-pushgateway
    fi
fi

# A folder for each list of packages, so that clones at different commits do not take them from each other.
listed() { sha256sum "$1" | cut -c1-12; }

venv=$cache/venv-$(listed e2e/requirements.txt)
if [ ! -e "$venv/installed" ]; then
    say "installing $(grep -o '^[a-z][^ ]*' e2e/requirements.txt | paste -sd' ') from PyPI into $venv"
    rm -rf "$venv"
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-input -r e2e/requirements.txt >&2
    touch "$venv/installed"
fi

modules=$cache/npm-$(listed e2e/clients/package-lock.json)
if [ ! -e "$modules/installed" ]; then
    say "installing hot-shots from npm into $modules"
    rm -rf "$modules"
    mkdir -p "$modules"
    cp e2e/clients/package.json e2e/clients/package-lock.json "$modules"
    # The headers that came with this Node.js spare the build a download.
    headers=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
    [ ! -e "$headers/include/node/node.h" ] || export npm_config_nodedir=$headers
    npm ci --prefix "$modules" --no-audit --no-fund --loglevel=error >&2
    # Without its native part the client would only say at the first use that it has none.
    (cd "$modules" && node -e 'require("unix-dgram"); require("hot-shots")')
    touch "$modules/installed"
fi

echo "export SIDEWATCH_PROMETHEUS='$prometheus'"
echo "export SIDEWATCH_PROMTOOL='$promtool'"
echo "export SIDEWATCH_NODE_EXPORTER='$node_exporter'"
echo "export SIDEWATCH_HAPROXY='$haproxy'"
echo "export SIDEWATCH_ALERTMANAGER='$alertmanager'"
echo "export SIDEWATCH_PYTHON='$venv/bin/python'"
[ -z "$pushgateway" ] || echo "export SIDEWATCH_PUSHGATEWAY='$pushgateway'"
echo "export SIDEWATCH_NODE='$(command -v node)'"
echo "export SIDEWATCH_NODE_MODULES='$modules/node_modules'"
