# shellcheck shell=bash
# Private servers for one command: they end with it, however it ends. Sourced by Scripts/with-*.sh.

server=${REDIS_SERVER:-redis-server}
if ! command -v "$server" >/dev/null; then
    printf "error: there is no '%s'. Run Scripts/install-dependencies.sh, or set REDIS_SERVER to one.\n" "$server" >&2
    exit 1
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/redis-streams.XXXXXX")
server_pids=() ports=()
command_pid='' signalled=''

# start_process LOG ARGUMENT…: starts a server; its process id is in $!.
start_process() {
    # Job control gives the server its own process group, so that Ctrl-C does not stop it before the command.
    set -m
    "$server" "${@:2}" >"$1" 2>&1 </dev/null &
    set +m
    server_pids+=($!)
}

stop_servers() {
    local pid tries
    for pid in "${server_pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${server_pids[@]}"; do
        for ((tries = 0; tries < 50; tries++)); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    server_pids=()
}

# shellcheck disable=SC2317 # Called by a trap.
clean_up() {
    trap '' INT TERM HUP
    stop_servers
    rm -rf "$folder"
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

# start_on_free_port NAME ARGUMENT…: starts a server with a folder of its own, and appends its port to `ports`.
#
# The port is below the range of outgoing connections, and so is that of a cluster's bus, 10,000 above.
start_on_free_port() {
    local own="$folder/$1" options=(--save '' --appendonly no) first=() attempt port
    mkdir -p "$own"
    if [[ ${2:-} == --sentinel ]]; then options=() first=("$own/sentinel.conf"); fi
    for ((attempt = 0; attempt < 10; attempt++)); do
        port=$((10000 + RANDOM % 10000))
        start_process "$own/log" "${first[@]}" --port "$port" --bind 127.0.0.1 --unixsocket "$own/redis.sock" \
            --unixsocketperm 700 --dir "$own" --daemonize no "${options[@]}" "${@:2}"
        if eventually_started "$!" "$own/redis.sock" "$port"; then
            ports+=("$port")
            return
        fi
        kill -KILL "$!" 2>/dev/null || true
        unset 'server_pids[-1]'
    done
    printf "error: '%s' did not start. Its log:\n" "$server" >&2
    tail -n 20 "$own/log" >&2
    exit 1
}

# eventually_started PID SOCKET PORT
eventually_started() {
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        kill -0 "$1" 2>/dev/null || return 1
        # The socket in the private folder proves that the server is ours, and not another one on the same port.
        [[ -S $2 ]] && says "$3" PONG PING && return
        sleep 0.05
    done
    return 1
}

# ask PORT ARGUMENT…: prints the reply to a command as it comes. Without redis-cli, which may not be installed.
ask() {
    # In a subshell, since a failed `exec` ends the shell. The error of the second command ends the reply to the first; a
    # sentinel has no QUIT.
    (
        exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1"
        printf '%s\r\nNO-MORE\r\n' "${*:2}" >&3
        while IFS= read -r -t 10 line <&3 && [[ $line != -*NO-MORE* ]]; do printf '%s\n' "${line%$'\r'}"; done
    )
}

# eventually SECONDS WHAT COMMAND…: fails if the command does not succeed within so many seconds.
eventually() {
    local end=$((SECONDS + $1))
    until "${@:3}"; do
        if ((SECONDS >= end)); then
            printf 'error: within %d s, this did not happen: %s\n' "$1" "$2" >&2
            return 1
        fi
        sleep 0.05
    done
}

# says PORT TEXT ARGUMENT…: whether the reply to a command holds a text.
says() {
    [[ $(ask "$1" "${@:3}") == *"$2"* ]]
}

# order PORT ARGUMENT…: fails unless the server replies that it has done so.
order() {
    local reply
    reply=$(ask "$@")
    [[ $reply == +OK* ]] || { printf 'error: %s: %s\n' "${*:2}" "$reply" >&2 && return 1; }
}

# now_in_milliseconds
now_in_milliseconds() {
    echo $((${EPOCHREALTIME/./} / 1000))
}

# seconds_since MILLISECONDS: such as 3.7.
seconds_since() {
    local passed=$(($(now_in_milliseconds) - $1))
    echo "$((passed / 1000)).$((passed % 1000 / 100))"
}

# run_disturbed FUNCTION ARGUMENT…: runs the command, and the function meanwhile. Fails if either fails, or if the function
# has not ended before the command.
run_disturbed() {
    (
        "$1"
        touch "$folder/disturbed"
    ) &
    server_pids+=($!)
    run_command "${@:2}"
    [[ -e $folder/disturbed ]] || {
        printf 'error: the command ended before its servers had been disturbed as they should\n' >&2
        return 1
    }
}

# run_command ARGUMENT…: runs the command, and returns its status.
run_command() {
    # In the background, since bash runs no trap while it waits for a foreground command; `trap -` restores SIGINT, which
    # bash ignores for background commands.
    (trap - INT TERM HUP EXIT && exec "$@") <&0 &
    command_pid=$!

    # A signal ends `wait` early, with a status that is not the command's: then wait again.
    local status
    while true; do
        signalled=''
        status=0
        # The shell would say on stderr which server was killed on purpose.
        { wait "$command_pid"; } 2>/dev/null || status=$?
        [[ -n $signalled ]] || break
    done
    return "$status"
}
