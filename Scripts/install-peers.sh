#!/usr/bin/env bash
# Installs what make bench-peers and make bench-plots need, if it is missing: Python packages into Benchmarks/.peers,
# node-redis from Debian.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=Scripts/lib/packages.sh
source Scripts/lib/packages.sh

plots_only=false
case ${1:-} in
    '') ;;
    --plots-only) plots_only=true ;;
    *) printf 'usage: Scripts/install-peers.sh [--plots-only]\n' >&2 && exit 2 ;;
esac

python=Benchmarks/.peers/bin/python
if [[ ! -x $python ]]; then
    python3 -c 'import venv, ensurepip' 2>/dev/null || install_packages 'python3 python3-venv' 'python'
    python3 -m venv Benchmarks/.peers
fi

# need MODULE PACKAGE…
need() {
    "$python" -c "import $1" 2>/dev/null || "$python" -m pip install --quiet "${@:2}"
}

need matplotlib 'matplotlib>=3.8,<4'
[[ $plots_only == false ]] || exit 0
need redis 'redis>=5'
need hiredis 'hiredis>=3'
need glide 'valkey-glide>=2'

if ! NODE_PATH=/usr/share/nodejs node -e 'require("redis")' 2>/dev/null; then
    command -v apt-get >/dev/null || fail "node-redis comes from Debian's packages, and there is no apt-get here."
    install_packages 'nodejs node-redis' ''
fi
