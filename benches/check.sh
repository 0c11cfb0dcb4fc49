#!/usr/bin/env bash
# `encfile check` on many encrypted files without a key: CPU time against `git status` and one
# `sops filestatus` a file, and peak memory, for a tenth of the files and for all.
#
#     cargo build --release && benches/check.sh [ENCFILE [FILES]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

encfile=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/release/encfile}")
files=${2:-10000}
sops=$PWD/target/peers/venv/bin/sops
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Runs a program three times and prints the least CPU time in ms, and the peak memory in MB. Python
# knows the memory of a child; what it prints goes nowhere.
measure() {
    python3 - "$@" <<'PYTHON'
import os, sys
best, peak = float("inf"), 0
for _ in range(3):
    child = os.fork()
    if child == 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os.execvp(sys.argv[1], sys.argv[1:])
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"{sys.argv[1:]} failed: {status}")
    best = min(best, usage.ru_utime + usage.ru_stime)
    peak = max(peak, usage.ru_maxrss)
print(f"{best * 1000:.0f} {peak / 1024:.0f}")
PYTHON
}

make_repository() {
    local folder=$1 count=$2 key=age1p425dg54alxas5ngyta05t8vms4gqs7ps52cfjd72wytc3q32awsh3mzqa
    git init -q "$folder"
    cd "$folder"
    printf 'creation_rules:\n  - path_regex: ^secrets/\n    age: %s\n' "$key" > .sops.yaml
    mkdir secrets
    for entry in {1..20}; do
        printf 'key%s: value number %s\n' "$entry" "$entry"
    done > secrets/first.yaml
    echo 'number_unencrypted: first' >> secrets/first.yaml
    "$encfile" encrypt -i secrets/first.yaml
    local text number
    text=$(< secrets/first.yaml)
    for ((number = 1; number < count; number++)); do
        printf '%s\n' "${text/number_unencrypted: first/number_unencrypted: $number}" > "secrets/$number.yaml"
    done
    git add .
    cd - > /dev/null
}

unset SOPS_AGE_KEY SOPS_AGE_KEY_FILE
for count in $((files / 10)) "$files"; do
    make_repository "$work/$count" "$count"
    cd "$work/$count"
    read -r check memory <<< "$(measure "$encfile" check)"
    read -r status _ <<< "$(measure git status --short)"
    read -r one _ <<< "$(measure "$sops" filestatus secrets/1.yaml)"
    awk -v n="$count" -v check="$check" -v memory="$memory" -v status="$status" -v one="$one" 'BEGIN {
        printf "%d files: check %d ms CPU, %d MB; git status %d ms (check / git status: %.1f); ", n, check, memory, status, check / (status + 0.1)
        printf "sops filestatus for each: %d ms (sops / check: %.0f)\n", one * n, one * n / (check + 0.1)
    }'
    cd - > /dev/null
done
