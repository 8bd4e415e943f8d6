#!/usr/bin/env bash
# Runs a command with REDIS_URL pointing at a Redis: the one it already names, or else a private one that ends with
# the command. REDIS_SERVER may name the server's binary.
set -euo pipefail

if (($# == 0)); then
    printf 'usage: Scripts/with-redis.sh COMMAND [ARGUMENT…]\n' >&2
    exit 2
fi

[[ -z ${REDIS_URL:-} ]] || exec "$@"

# shellcheck source=Scripts/lib/servers.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/servers.sh"

start_on_free_port redis
export REDIS_URL="redis://127.0.0.1:${ports[0]}"
run_command "$@"
