#!/usr/bin/env bash
# Installs what the tests compare encfile with, once: the real `sops` and the Python packages of
# tests/peers/check.py in target/peers/venv, rops for TOML in target/peers/rops-toml, and `age`,
# `gpg` and `strace` from the system.
# A second run only looks. A test that misses a peer fails and names this script.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

peers=target/peers
stamp=$peers/requirements.txt
mkdir -p "$peers"

packages=()
for pair in age:age age-keygen:age gpg:gnupg strace:strace; do
    command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
done
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    packages+=(python3 python3-venv)
fi
if ((${#packages[@]})); then
    if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
        echo "tests/peers.sh: missing packages: ${packages[*]}; install them, then run this again" >&2
        exit 1
    fi
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"
fi

# The stamp is written last, so a run that was cut off starts over.
if ! cmp -s tests/peers/requirements.txt "$stamp" || [[ ! -x $peers/venv/bin/sops ]]; then
    rm -rf "$peers/venv" "$stamp"
    python3 -m venv "$peers/venv"
    "$peers/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        -r tests/peers/requirements.txt
    cp tests/peers/requirements.txt "$stamp"
fi

# Another lock file, another profile: not in the target directory of encfile. Cargo knows whether
# there is anything to do.
env -u CARGO_TARGET_DIR cargo build --locked --quiet \
    --manifest-path tests/peers/rops/Cargo.toml --target-dir "$peers/rops-toml"

"$peers/venv/bin/sops" --version --disable-version-check
