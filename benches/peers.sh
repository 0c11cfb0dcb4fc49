#!/usr/bin/env bash
# Installs what `cargo bench --bench compare` measures encfile against, once: the real `sops` (as
# for the tests) and `rops`, which takes some minutes to build. A second run only looks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

rops_version=0.1.7

tests/peers.sh
if [[ ! -x target/peers/rops/bin/rops ]]; then
    # Its own target directory: another crate's profile and lock file have no business in ours.
    env -u CARGO_TARGET_DIR nice cargo install --locked --quiet rops-cli \
        --version "$rops_version" --root target/peers/rops
fi
target/peers/rops/bin/rops --version
