#!/usr/bin/env bash
# Runs a command with REDIS_URL pointing at a private Redis Cluster of three masters with a replica each, which ends with
# the command. REDIS_SERVER may name the server's binary.
#
# With --move, the slot of the first stream that grows to 10,000 entries moves to another master. With --disturb, that master
# is killed besides, when the stream has 35,000 entries: what no replica has received by then is lost.
set -euo pipefail

disturbed=''
if [[ ${1:-} == --disturb || ${1:-} == --move ]]; then
    disturbed=$1
    shift
fi
if (($# == 0)); then
    printf 'usage: Scripts/with-cluster.sh [--move | --disturb] COMMAND [ARGUMENT…]\n' >&2
    exit 2
fi

# shellcheck source=Scripts/lib/servers.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/servers.sh"

ids=() masters=(0 1 2) replicas=(3 4 5)

start_nodes() {
    local number
    for number in "${masters[@]}" "${replicas[@]}"; do
        start_on_free_port "$number" --cluster-enabled yes --cluster-node-timeout 2000 --repl-diskless-sync yes \
            --repl-diskless-sync-delay 0 --repl-ping-replica-period 1
        ids+=("$(ask "${ports[number]}" CLUSTER MYID | sed -n 2p)")
    done
}

form_cluster() {
    local number
    for number in "${masters[@]}"; do
        local first=$(((16384 * number + 2) / 3)) last=$(((16384 * (number + 1) + 2) / 3 - 1))
        order "${ports[number]}" CLUSTER ADDSLOTS "$(seq -s ' ' "$first" "$last")"
    done
    for number in "${masters[@]}" "${replicas[@]}"; do
        order "${ports[number]}" CLUSTER SET-CONFIG-EPOCH $((number + 1))
        order "${ports[number]}" CLUSTER MEET 127.0.0.1 "${ports[0]}"
    done
    for number in "${ports[@]}"; do
        eventually 20 "node $number knows the others" says "$number" cluster_known_nodes:6 CLUSTER INFO
    done
    for number in "${replicas[@]}"; do
        eventually 20 "node ${ports[number]} is a replica" \
            says "${ports[number]}" +OK CLUSTER REPLICATE "${ids[number - 3]}"
    done
    for number in "${replicas[@]}"; do
        eventually 20 "node ${ports[number]} has a copy" says "${ports[number]}" link_status:up INFO replication
    done
    for number in "${ports[@]}"; do
        eventually 20 "node $number works" says "$number" cluster_state:ok CLUSTER INFO
        # A replica that not all masters know could not get their votes.
        eventually 20 "node $number knows the replicas" knows_replicas "$number"
    done
}

# knows_replicas PORT
knows_replicas() {
    (($(ask "$1" CLUSTER NODES | grep -c ' slave \|,slave ') == 3))
}

say() {
    printf '[cluster] %s\n' "$*"
}

# find_stream: finds the stream, and the number of the master that has it.
find_stream() {
    local number
    for number in "${masters[@]}"; do
        key=$(ask "${ports[number]}" RANDOMKEY | sed -n 2p)
        source=$number
        if [[ -n $key ]] && has_grown_to "${ports[number]}" 10000; then return 0; fi
    done
    return 1
}

# has_grown_to PORT COUNT: whether the stream has had so many entries.
has_grown_to() {
    local length
    length=$(ask "$1" XLEN "$key" | head -n 1)
    [[ $length =~ ^:[0-9]+$ ]] && ((${length#:} >= $2))
}

# Moves the slot of the stream as redis-cli does, and kills the master that has got it.
disturb() {
    local key source target slot
    eventually 60 'a stream grows' find_stream
    target=$(((source + 1) % 3))
    slot=$(ask "${ports[source]}" CLUSTER KEYSLOT "$key" | head -n 1)
    slot=${slot#:}
    order "${ports[target]}" CLUSTER SETSLOT "$slot" IMPORTING "${ids[source]}"
    order "${ports[source]}" CLUSTER SETSLOT "$slot" MIGRATING "${ids[target]}"
    order "${ports[source]}" MIGRATE 127.0.0.1 "${ports[target]}" "$key" 0 5000
    # Now the old master answers ASK.
    sleep 0.2
    local number
    for number in "$target" "$source" "${masters[@]}"; do
        order "${ports[number]}" CLUSTER SETSLOT "$slot" NODE "${ids[target]}"
    done
    say "slot $slot with the stream has moved from ${ports[source]} to ${ports[target]}"
    [[ $disturbed == --disturb ]] || return 0

    eventually 60 'the stream grows further' has_grown_to "${ports[target]}" 35000
    kill -KILL "${server_pids[target]}"
    local start
    start=$(now_in_milliseconds)
    say "kill -9 of the master ${ports[target]}"
    eventually 60 'a replica takes over' says "${ports[target + 3]}" role:master INFO replication
    eventually 60 'the cluster works again' says "${ports[target + 3]}" cluster_state:ok CLUSTER INFO
    say "its replica ${ports[target + 3]} has taken over, $(seconds_since "$start") s later"
}

start_nodes
form_cluster
export REDIS_URL="redis+cluster://127.0.0.1:${ports[0]},127.0.0.1:${ports[1]}"
if [[ -n $disturbed ]]; then run_disturbed disturb "$@"; else run_command "$@"; fi
