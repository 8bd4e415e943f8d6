#!/usr/bin/env bash
# Runs a command with REDIS_URL pointing at three private sentinels, which monitor a master with two replicas; all end
# with the command. REDIS_SERVER may name the server's binary.
#
# With --disturb, the master is killed 4 s after the command was started.
set -euo pipefail

disturbed=''
if [[ ${1:-} == --disturb ]]; then
    disturbed=1
    shift
fi
if (($# == 0)); then
    printf 'usage: Scripts/with-sentinels.sh [--disturb] COMMAND [ARGUMENT…]\n' >&2
    exit 2
fi

# shellcheck source=Scripts/lib/servers.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/servers.sh"

servers=(0 1 2) sentinels=(3 4 5)

for number in "${servers[@]}"; do
    arguments=()
    ((number == 0)) || arguments=(--replicaof 127.0.0.1 "${ports[0]}")
    start_on_free_port "$number" --repl-diskless-sync yes --repl-diskless-sync-delay 0 \
        --repl-ping-replica-period 1 "${arguments[@]}"
done
for number in 1 2; do
    eventually 20 "server ${ports[number]} has a copy" says "${ports[number]}" link_status:up INFO replication
done
for number in "${sentinels[@]}"; do
    mkdir -p "$folder/$number"
    # A sentinel writes into its file.
    cat >"$folder/$number/sentinel.conf" <<END
sentinel monitor mymaster 127.0.0.1 ${ports[0]} 2
sentinel down-after-milliseconds mymaster 500
sentinel failover-timeout mymaster 5000
END
    start_on_free_port "$number" --sentinel
done
for number in "${sentinels[@]}"; do
    eventually 20 "sentinel ${ports[number]} knows the others" says "${ports[number]}" sentinels=3 INFO sentinel
    eventually 20 "sentinel ${ports[number]} knows the replicas" says "${ports[number]}" slaves=2 INFO sentinel
done

disturb() {
    sleep 4
    kill -KILL "${server_pids[0]}"
    printf '[sentinels] kill -9 of the master %s\n' "${ports[0]}"
    local start
    start=$(now_in_milliseconds)
    eventually 60 'the sentinels name another master' named_another
    printf '[sentinels] they name another master %s s later\n' "$(seconds_since "$start")"
}

named_another() {
    local port
    port=$(ask "${ports[3]}" SENTINEL get-master-addr-by-name mymaster | sed -n 5p)
    [[ -n $port && $port != "${ports[0]}" ]]
}

export REDIS_URL="redis+sentinel://127.0.0.1:${ports[3]},127.0.0.1:${ports[4]}/mymaster"
if [[ -n $disturbed ]]; then run_disturbed disturb "$@"; else run_command "$@"; fi
