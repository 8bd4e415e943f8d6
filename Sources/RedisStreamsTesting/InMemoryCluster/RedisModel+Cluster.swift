/// `CLUSTER`, `ASKING`, `READONLY` and `READWRITE`.
extension RedisModel {
    private func node() throws(ReplyError) -> ClusterNode {
        guard let clusterNode else { throw ReplyError("ERR This instance has cluster support disabled") }
        return clusterNode
    }

    func asking(_ call: Call) throws(ReplyError) {
        _ = try node()
        call.client.isAsking = true
        reply.ok()
    }

    /// `READONLY` and `READWRITE`. Replicas redirect reads all the same.
    func readOnly(_ call: Call) throws(ReplyError) {
        _ = try node()
        reply.ok()
    }

    func cluster(_ call: Call) throws(ReplyError) {
        let node = try node()
        switch (call[1].uppercase.text, call.count) {
        case ("SLOTS", 2): slots(node.view)
        case ("SHARDS", 2) where version.isAtLeast7_0: shards(node.view)
        case ("NODES", 2): reply.bulk(lines(node))
        case ("INFO", 2): reply.bulk(information(node))
        case ("MYID", 2): reply.bulk(node.member.id)
        case ("KEYSLOT", 3): reply.integer(HashSlot.of(call[2]))
        case ("COUNTKEYSINSLOT", 3):
            let slot = try call.integer(2)
            reply.integer(keys(in: slot).count)
        default: throw subcommandSyntax(call)
        }
    }

    private func slots(_ view: ClusterView) {
        let ranges = view.ranges
        reply.array(ranges.count)
        for range in ranges {
            let nodes = [range.owner] + view.replicas(of: range.owner)
            reply.array(2 + nodes.count)
            reply.integer(range.slots.lowerBound)
            reply.integer(range.slots.upperBound)
            for node in nodes { write(view.members[node], view) }
        }
    }

    /// Since 7.0, a node is followed by those of its names that are not the preferred one.
    private func write(_ member: ClusterView.Member, _ view: ClusterView) {
        reply.array(version.isAtLeast7_0 ? 4 : 3)
        if view.announcement == .unknownEndpoint, version.isAtLeast7_0 {
            reply.null()
        } else {
            reply.bulk(view.endpoint(member))
        }
        reply.integer(member.port)
        reply.bulk(member.id)
        guard version.isAtLeast7_0 else { return }
        if view.announcement == .address { return reply.map(0) }
        reply.map(1)
        reply.bulk("ip")
        reply.bulk(member.ip)
    }

    private func shards(_ view: ClusterView) {
        let masters = view.members.indices.filter { view.members[$0].master == nil }
        reply.array(masters.count)
        for master in masters {
            let ranges = view.ranges.filter { $0.owner == master }
            let nodes = [master] + view.members.indices.filter { view.members[$0].master == master }
            reply.map(2)
            reply.bulk("slots")
            reply.array(2 * ranges.count)
            for range in ranges {
                reply.integer(range.slots.lowerBound)
                reply.integer(range.slots.upperBound)
            }
            reply.bulk("nodes")
            reply.array(nodes.count)
            for node in nodes { writeShardNode(view.members[node], view) }
        }
    }

    private func writeShardNode(_ member: ClusterView.Member, _ view: ClusterView) {
        let hasName = view.announcement == .hostname
        reply.map(hasName ? 8 : 7)
        reply.bulk("id")
        reply.bulk(member.id)
        reply.bulk("port")
        reply.integer(member.port)
        reply.bulk("ip")
        reply.bulk(member.ip)
        reply.bulk("endpoint")
        if view.announcement == .unknownEndpoint { reply.null() } else { reply.bulk(view.endpoint(member)) }
        if hasName {
            reply.bulk("hostname")
            reply.bulk(member.hostname)
        }
        reply.bulk("role")
        reply.bulk(member.master == nil ? "master" : "replica")
        reply.bulk("replication-offset")
        reply.integer(0)
        reply.bulk("health")
        reply.bulk(member.hasFailed ? "fail" : "online")
    }

    private func lines(_ node: ClusterNode) -> String {
        let view = node.view
        return view.members.enumerated().map { index, member in
            let flags = [
                index == node.index ? "myself" : nil, member.master == nil ? "master" : "slave",
                member.hasFailed ? "fail" : nil,
            ]
            let ranges = view.ranges.filter { $0.owner == index }.map { range in
                range.slots.count == 1
                    ? "\(range.slots.lowerBound)" : "\(range.slots.lowerBound)-\(range.slots.upperBound)"
            }
            var words = [
                member.id, "\(member.ip):\(member.port)@\(member.port + 10_000)",
                flags.compactMap { $0 }.joined(separator: ","), member.master.map { view.members[$0].id } ?? "-", "0",
                "0", "\(index + 1)", member.hasFailed ? "disconnected" : "connected",
            ]
            if view.announcement == .hostname, version.isAtLeast7_0 { words[1] += ",\(member.hostname)" }
            return (words + ranges).joined(separator: " ") + "\n"
        }.joined()
    }

    private func information(_ node: ClusterNode) -> String {
        let view = node.view
        let assigned = view.owners.count { $0 != nil }
        let size = Set(view.owners.compactMap { $0 }).count
        return [
            "cluster_state:\(view.isDown(at: time) ? "fail" : "ok")", "cluster_slots_assigned:\(assigned)",
            "cluster_slots_ok:\(assigned)", "cluster_slots_pfail:0", "cluster_slots_fail:0",
            "cluster_known_nodes:\(view.members.count)", "cluster_size:\(size)",
        ].map { "\($0)\r\n" }.joined()
    }
}

/// Keys that move between the nodes of a cluster, and clients that wait for them.
extension RedisModel {
    /// Whether the first database has the key.
    func has(_ key: Bytes) -> Bool { lookup(KeyPlace(database: 0, key: key)) != nil }

    /// The keys of a slot, in order.
    func keys(in slot: Int) -> [Bytes] {
        databases[0].sortedKeys.filter { HashSlot.of($0) == slot && has($0) }
    }

    /// Moves a key with its value to another server, as `MIGRATE` does. A stream keeps its groups and pending messages;
    /// their times are those of the old server's clock.
    func move(_ key: Bytes, to other: RedisModel) {
        let place = KeyPlace(database: 0, key: key)
        guard let value = lookup(place) else { return }
        let timeToLive = databases[0][key]?.expiry.map { $0 - time.wall }
        other.change { other.store(value, at: place, expiry: timeToLive.map { $0 + other.time.wall }) }
        change { delete(place) }
    }

    /// Returns all data, as a replica has it.
    func dataCopy() -> [Keyspace] { databases.map { $0.copy() } }

    static var emptyData: [Keyspace] { Array(repeating: Keyspace(), count: 16) }

    /// Replaces all data by that of another server, as a replica does that becomes the master.
    func replaceData(by data: [Keyspace]) { databases = data }

    /// Ends the waits for keys that this node does not serve any more.
    func redirectWaiting() {
        guard let clusterNode else { return }
        change {
            for client in waitingClients {
                guard let key = client.wait?.places.first?.key,
                    let error = clusterNode.refusal(ofWaitFor: key, in: self)
                else { continue }
                release(client) { $0.error(error) }
            }
        }
    }

    /// The node has become a replica. Valkey redirects the clients that are blocked; others close their connections.
    func endWaitsAfterDemotion() {
        if version == .valkey9_1 { return redirectWaiting() }
        let text = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
        change {
            for client in waitingClients {
                release(client) { $0.error(ReplyError(text)) }
                close(client)
            }
        }
    }

    private var waitingClients: [Client] {
        clients.values.filter(\.isWaiting).sorted { $0.connection < $1.connection }
    }
}
