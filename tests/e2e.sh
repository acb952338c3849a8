#!/usr/bin/env bash
# Builds the release binary, installs it into a folder of its own, makes the Debian package of it, and runs the tests of
# the target named first (e2e or soak) against what was installed. Further arguments go to the test program.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=$1
shift
variables=$(tests/prepare.sh)
eval "$variables"

root=$(mktemp -d "${TMPDIR:-/tmp}/sidewatch-root.XXXXXX")
trap 'rm -rf "$root"' EXIT
make --no-print-directory build
make --no-print-directory deb
make --no-print-directory --silent install DESTDIR="$root"
export SIDEWATCH_ROOT=$root
export SIDEWATCH_BIN=$root/usr/bin/sidewatch
SIDEWATCH_DEB=$(realpath "${CARGO_TARGET_DIR:-target}/debian/sidewatch.deb")
export SIDEWATCH_DEB

# Several at a time, since most of them wait; the long ones one after the other, since they measure.
if [ "$suite" = soak ]; then threads=1 show=--nocapture; else threads=4 show=--show-output; fi
cargo test --locked --test "$suite" -- --test-threads=$threads $show "$@"
