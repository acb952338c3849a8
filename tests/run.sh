#!/usr/bin/env bash
# `make test`: every step is run, also after one that failed, and the last line adds up what they say.
set -uo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0
failed=0
bad=()
skipped=()

# A step that runs tests counts as its tests; any other step counts as one.
step() {
    local name=$1 begin=$SECONDS status p f
    shift
    echo "== $name"
    "$@" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    read -r p f < <(awk '/^test result: / { p += $4; f += $6 } END { print p + 0, f + 0 }' "$log")
    if [ "$status" = 0 ] && [ "$p" = 0 ]; then p=1; fi
    if [ "$status" != 0 ] && [ "$f" = 0 ]; then f=1; fi
    passed=$((passed + p))
    failed=$((failed + f))
    mapfile -t -O ${#skipped[@]} skipped < <(grep -E '^(SKIPPED|skipped): ' "$log")
    [ "$f" = 0 ] || bad+=("$name")
    echo "== $name: $p passed, $f failed, $((SECONDS - begin)) s"
    echo
}

# What the tests below meet; a test whose peer is named here does not do without it.
variables=$(tests/prepare.sh) || exit 1
eval "$variables"

step "format" cargo fmt --check
step "lints" cargo clippy --locked --all-targets -- -D warnings
step "lints of the end-to-end tests" cargo clippy --locked --test e2e --test soak -- -D warnings
step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
step "unit, property, layer and command line tests" cargo test --locked --no-fail-fast
step "end-to-end tests" tests/e2e.sh e2e

[ ${#skipped[@]} = 0 ] || printf '%s\n' "${skipped[@]}"
[ ${#bad[@]} = 0 ] || printf 'failed: %s\n' "${bad[@]}"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
