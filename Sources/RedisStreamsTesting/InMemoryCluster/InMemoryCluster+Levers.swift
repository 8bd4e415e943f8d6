public import RedisStreams
internal import Synchronization

/// What happens to a cluster, when the test says so.
extension InMemoryCluster {
    /// Changes the cluster, and sends what its nodes say to their clients.
    @discardableResult
    private func change<Result: Sendable>(
        at node: Node? = nil,
        _ body: @Sendable (ClusterModel, inout [RedisHost.State]) throws(RedisError) -> Result
    ) throws(RedisError) -> Result? {
        if let node, !nodes.contains(node) {
            throw RedisError(.invalidArgument, "\(node) is no node of this cluster.")
        }
        return try group.members.withLock { members throws(RedisError) in
            guard let cluster = members.cluster else { return nil }
            for (index, host) in hosts.enumerated() where members.states[index].outage != .stopped {
                members.states[index].model.advance(to: host.now(members.states[index]))
            }
            defer { for (index, host) in hosts.enumerated() { host.finish(&members.states[index]) } }
            return try body(cluster, &members.states)
        }
    }

    // MARK: Who has what

    private var view: ClusterView? {
        group.members.withLock { $0.cluster?.view }
    }

    /// The nodes that are masters now, in the order of ``nodes``.
    public var masters: [Node] {
        let members = view?.members ?? []
        return zip(nodes, members).filter { $1.master == nil }.map(\.0)
    }

    /// The node that serves the slot of a stream, as all nodes know that are not cut off.
    public func owner(of stream: StreamKey) -> Node {
        let slot = HashSlot.of(Bytes(stream.rawValue.utf8))
        return nodes[view?.owners[slot] ?? 0]
    }

    /// The replicas of a node.
    public func replicas(of node: Node) -> [Node] {
        let members = view?.members ?? []
        return zip(nodes, members).filter { $1.master == node.index }.map(\.0)
    }

    // MARK: Slots

    /// Begins to move a slot to another master, as `CLUSTER SETSLOT` with `IMPORTING` and `MIGRATING` does.
    ///
    /// From now on the old owner answers `ASK` for keys that it does not have, and `TRYAGAIN` for several keys of which it
    /// has only some (Redis 6.2: `ASK`). The new owner serves the slot only behind `ASKING`.
    ///
    /// - Throws: `RedisError` with the code `invalidArgument` if there is no such slot, or if `node` is not another
    ///   master.
    public func beginMoving(slot: Int, to node: Node) throws(RedisError) {
        try change { cluster, _ throws(RedisError) in try cluster.beginMoving(slot, to: node.index) }
    }

    /// Moves keys of a moving slot, as `MIGRATE` does, with groups, pending messages and idle times.
    ///
    /// A blocked `XREADGROUP` on a key that leaves ends with `UNBLOCKED` on Redis 7.0, with `ASK` on Redis 8.2 and Valkey,
    /// and not at all on Redis 6.2. A blocked `XREAD` goes on until the slot belongs to its new owner.
    ///
    /// - Parameters:
    ///   - slot: A slot for which ``beginMoving(slot:to:)`` was called.
    ///   - count: The most keys to move, in the order of their names. Default: all.
    /// - Returns: How many keys were moved.
    @discardableResult
    public func moveKeys(of slot: Int, atMost count: Int = .max) throws(RedisError) -> Int {
        try change { cluster, _ throws(RedisError) in try cluster.moveKeys(of: slot, atMost: count) } ?? 0
    }

    /// Gives a moving slot to its new owner, with the keys that are left, as `CLUSTER SETSLOT … NODE` on all nodes does.
    /// Clients that are still blocked at the old owner get `MOVED`.
    public func finishMoving(slot: Int) throws(RedisError) {
        try change { cluster, _ throws(RedisError) in try cluster.finishMoving(slot) }
    }

    /// Moves a slot in all steps: ``beginMoving(slot:to:)``, ``moveKeys(of:atMost:)``, ``finishMoving(slot:)``.
    public func move(slot: Int, to node: Node) throws(RedisError) {
        try change { cluster, _ throws(RedisError) in
            try cluster.beginMoving(slot, to: node.index)
            try cluster.finishMoving(slot)
        }
    }

    /// Moves a slot as Valkey's `CLUSTER MIGRATESLOTS` does: no client sees `ASK`, and those that are blocked get `MOVED`.
    ///
    /// - Throws: `RedisError` with the code `unsupportedByServer` for other versions than Valkey.
    public func moveAtomically(slot: Int, to node: Node) throws(RedisError) {
        guard version == .valkey9_1 else {
            throw RedisError(.unsupportedByServer, "Only Valkey moves slots atomically.")
        }
        try change { cluster, _ throws(RedisError) in try cluster.moveAtomically(slot, to: node.index) }
    }

    // MARK: Failover

    /// Stops replication from a master. After the next ``failOver(_:)``, everything is lost that happens there from now
    /// on: entries, acknowledgements, groups.
    public func stopReplication(of node: Node) {
        try? change(at: node) { cluster, _ throws(RedisError) in cluster.stopReplication(of: node.index) }
    }

    /// Lets the replicas catch up, and replication go on.
    public func startReplication(of node: Node) {
        try? change(at: node) { cluster, _ throws(RedisError) in cluster.startReplication(of: node.index) }
    }

    /// Makes the first replica of a master the new master of its slots.
    ///
    /// If the old master can be reached, it becomes a replica at once, as by `CLUSTER FAILOVER`: it answers `MOVED`. Clients
    /// that are blocked there get `UNBLOCKED` and the end of their connection, or `MOVED` on Valkey. If it is stopped,
    /// killed or isolated, it learns of that when it starts again.
    ///
    /// Slots that move from or to the old master stop moving. Their keys stay where they are, as in a real cluster, where
    /// the operator has to repair that.
    ///
    /// The new master has the data of the old one, except for what came after ``stopReplication(of:)``. It does not know
    /// scripts, except for those that Redis 6.2 has got by `SCRIPT LOAD`.
    ///
    /// - Returns: The new master.
    /// - Throws: `RedisError` with the code `invalidArgument` if the node is no master or has no replica.
    @discardableResult
    public func failOver(_ node: Node) throws(RedisError) -> Node {
        let promoted = try change { cluster, _ throws(RedisError) in try cluster.failOver(node.index) }
        return promoted.map { nodes[$0] } ?? node
    }

    // MARK: Gossip

    /// Keeps the news from a node, which clients still reach: it goes on by what it knows, and sends clients to nodes that
    /// no longer serve a slot, or serves a slot that it has lost by a failover.
    public func stopGossip(to node: Node) {
        try? change(at: node) { cluster, _ throws(RedisError) in cluster.setGossip(to: node.index, false) }
    }

    /// Tells a node what it has missed since ``stopGossip(to:)``.
    public func startGossip(to node: Node) {
        try? change(at: node) { cluster, _ throws(RedisError) in cluster.setGossip(to: node.index, true) }
    }

    // MARK: Outages

    /// Stops the process of a node, as `SIGSTOP` does: it accepts connections and answers nothing. What arrives waits, and
    /// is executed by ``start(_:)``, even if another node has become the master meanwhile.
    public func stop(_ node: Node) { begin(.stopped, at: node) }

    /// Ends the process of a node: its connections are closed, and new ones are refused. It keeps its data, and forgets
    /// its scripts.
    public func kill(_ node: Node) { begin(.killed, at: node) }

    /// Cuts a node off from clients and other nodes: nothing arrives on either side, nobody is told, and new connections
    /// time out.
    public func isolate(_ node: Node) { begin(.isolated, at: node) }

    private func begin(_ outage: RedisHost.Outage, at node: Node) {
        try? change(at: node) { cluster, states throws(RedisError) in
            cluster.lose(node.index)
            hosts[node.index].begin(outage, &states[node.index])
        }
    }

    /// Ends what ``stop(_:)``, ``kill(_:)`` or ``isolate(_:)`` has begun. The node then learns what has changed, such as
    /// that it is a replica now.
    public func start(_ node: Node) {
        try? change(at: node) { cluster, states throws(RedisError) in
            hosts[node.index].endOutage(&states[node.index])
            cluster.find(node.index)
        }
    }

    /// Makes all nodes answer `CLUSTERDOWN` to commands with keys for some time, also to those that are blocked. Real
    /// clusters do so for about a second when a master fails, unless `cluster-require-full-coverage` is `no`.
    public func clusterDown(for duration: Duration) {
        try? change { cluster, _ throws(RedisError) in
            let now = Int(clock.elapsed / .milliseconds(1))
            cluster.goDown(until: now + duration.plausibleMilliseconds)
        }
    }
}
