#!/usr/bin/env bash
# Installs what the tests compare encfile with, once: the real `sops`, the Python packages of
# tests/peers/check.py and users of sops in target/peers/venv, Node packages in target/peers/node,
# rops for TOML in target/peers/rops-toml, and
# `age`, `gpg`, `strace`, `zsh`, `fish`, `git`, `node` and PostgreSQL from the system.
# A second run only looks. A test that misses a peer fails and names this script.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

peers=target/peers
stamp=$peers/stamp
mkdir -p "$peers"

packages=()
for pair in age:age age-keygen:age gpg:gnupg pinentry-curses:pinentry-curses strace:strace zsh:zsh fish:fish git:git node:nodejs npm:npm setsid:util-linux; do
    command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
done
# Debian keeps the server's programs out of PATH.
if ! command -v postgres >/dev/null && ! compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; then
    packages+=(postgresql)
fi
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
wanted=$(cat tests/peers/requirements.txt tests/peers/node/package.json tests/peers/node/kms/*)
if [[ ! -e $stamp || $wanted != "$(cat "$stamp")" || ! -x $peers/venv/bin/sops ]]; then
    rm -rf "$peers/venv" "$peers/node" "$stamp"
    python3 -m venv "$peers/venv"
    pip=("$peers/venv/bin/python" -m pip install --quiet --disable-pip-version-check)
    "${pip[@]}" -r tests/peers/requirements.txt
    "${pip[@]}" --no-deps --ignore-requires-python ensure-sops==0.1.2
    cp -R tests/peers/node "$peers/node"
    npm install --prefix "$peers/node" --ignore-scripts --no-audit --no-fund --silent
    printf '%s\n' "$wanted" > "$stamp"
fi

# Another lock file, another profile: not in the target directory of encfile. Cargo knows whether
# there is anything to do.
env -u CARGO_TARGET_DIR cargo build --locked --quiet \
    --manifest-path tests/peers/rops/Cargo.toml --target-dir "$peers/rops-toml"

"$peers/venv/bin/sops" --version --disable-version-check
