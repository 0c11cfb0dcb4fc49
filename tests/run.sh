#!/usr/bin/env bash
# Runs all tests; installs the programs that they compare with first. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tests/peers.sh
# Tests send signals to programs; whoever started this may have them ignored.
reset=()
if env --default-signal=INT true 2> /dev/null; then
    reset=(env --default-signal=HUP,INT,QUIT,TERM,PIPE)
fi
# The same random inputs in every run; another seed tries others.
export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-1}
"${reset[@]}" cargo test --workspace --locked "$@"
