#!/usr/bin/env bash
# Runs a command with REDIS_URL pointing at a Redis: the one it already names, or else a private one that ends with
# the command. REDIS_SERVER may name the server's binary.
set -euo pipefail

if (($# == 0)); then
    printf 'usage: Scripts/with-redis.sh COMMAND [ARGUMENT…]\n' >&2
    exit 2
fi

[[ -z ${REDIS_URL:-} ]] || exec "$@"

server=${REDIS_SERVER:-redis-server}
if ! command -v "$server" >/dev/null; then
    printf "error: there is no '%s'. Run Scripts/install-dependencies.sh, or set REDIS_URL to a Redis.\n" "$server" >&2
    exit 1
fi

folder='' server_pid='' command_pid='' signalled=''

stop_server() {
    [[ -n $server_pid ]] || return 0
    kill -TERM "$server_pid" 2>/dev/null || true
    local tries
    for ((tries = 0; tries < 50; tries++)); do
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    server_pid=''
}

# shellcheck disable=SC2317 # Called by a trap.
clean_up() {
    trap '' INT TERM HUP
    stop_server
    [[ -z $folder ]] || rm -rf "$folder"
}

# on_signal NAME NUMBER
# shellcheck disable=SC2317 # Called by a trap.
on_signal() {
    signalled=$1
    [[ -n $command_pid ]] || exit $((128 + $2))
    # A terminal sends Ctrl-C to the command, too, which must get it only once.
    [[ $1 == INT && -t 0 ]] || kill -s "$1" "$command_pid" 2>/dev/null || true
}

trap clean_up EXIT
trap 'on_signal HUP 1' HUP
trap 'on_signal INT 2' INT
trap 'on_signal TERM 15' TERM

answers_ping() {
    # In a subshell, since a failed `exec` ends the shell. Without redis-cli, which may not be installed.
    (
        exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1"
        printf 'PING\r\n' >&3
        read -r -t 2 reply <&3
        [[ $reply == +PONG* ]]
    )
}

# start_server PORT: fails if the server does not start there.
start_server() {
    # Job control gives the server its own process group, so that Ctrl-C does not stop it before the command.
    set -m
    "$server" --port "$1" --bind 127.0.0.1 --unixsocket "$folder/redis.sock" --unixsocketperm 700 \
        --save '' --appendonly no --dir "$folder" --daemonize no >"$folder/redis.log" 2>&1 </dev/null &
    server_pid=$!
    set +m

    local tries
    for ((tries = 0; tries < 100; tries++)); do
        kill -0 "$server_pid" 2>/dev/null || break
        # The socket in the private folder proves that the server is ours, and not another one on the same port.
        [[ -S $folder/redis.sock ]] && answers_ping "$1" && return
        sleep 0.05
    done
    stop_server
    return 1
}

folder=$(mktemp -d "${TMPDIR:-/tmp}/redis-streams.XXXXXX")
port=''
for ((attempt = 0; attempt < 10; attempt++)); do
    # Below the port range of outgoing connections.
    candidate=$((10000 + RANDOM % 20000))
    if start_server "$candidate"; then
        port=$candidate
        break
    fi
done
if [[ -z $port ]]; then
    printf "error: '%s' did not start. Its log:\n" "$server" >&2
    tail -n 20 "$folder/redis.log" >&2
    exit 1
fi

export REDIS_URL="redis://127.0.0.1:$port"

# In the background, since bash runs no trap while it waits for a foreground command; `trap -` restores SIGINT, which
# bash ignores for background commands.
(trap - INT TERM HUP EXIT && exec "$@") <&0 &
command_pid=$!

# A signal ends `wait` early, with a status that is not the command's: then wait again.
while true; do
    signalled=''
    status=0
    wait "$command_pid" || status=$?
    [[ -n $signalled ]] || break
done
exit "$status"
