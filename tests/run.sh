#!/usr/bin/env bash
# Runs all tests; installs the programs that they compare with first. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tests/peers.sh
cargo test --workspace --locked "$@"
