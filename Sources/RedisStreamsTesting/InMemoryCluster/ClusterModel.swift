package import RedisStreams

/// A Redis cluster without sockets, threads or clock: the servers, what each of them knows of the others, and the levers
/// that change it.
///
/// It belongs to whoever runs the servers, and is guarded by the same lock. The levers use the time that each server was
/// given last.
package final class ClusterModel {
    /// The servers, by their positions: masters first, then the replicas of each.
    package let models: [RedisModel]
    private let nodes: [ClusterNode]
    /// The cluster as every node knows it that gets news of the others.
    private(set) var view: ClusterView
    /// The nodes that neither clients nor other nodes reach.
    private var unreachable: Set<Int> = []
    /// The nodes that clients reach, and to which the others do not tell what changes.
    private var uninformed: Set<Int> = []
    /// The data of the replicas of masters whose replication has stopped.
    private var replicated: [Int: [Keyspace]] = [:]

    package init(
        version: InMemoryRedis.Version,
        masters: Int,
        replicas: Int,
        announcement: InMemoryCluster.Announcement = .hostname
    ) {
        // Redis 6.2 always announces an address.
        let isAddress = version == .redis6_2 && announcement == .unknownEndpoint
        let view = ClusterView(
            masters: masters,
            replicas: replicas,
            announcement: isAddress ? .address : announcement
        )
        self.view = view
        nodes = view.members.indices.map { ClusterNode(index: $0, view: view) }
        models = nodes.map { node in
            let model = RedisModel(version: version)
            model.clusterNode = node
            model.port = node.member.port
            return model
        }
    }

    // MARK: Slots

    /// Makes the owner of a slot give it away, and another master take it over: `CLUSTER SETSLOT … IMPORTING`, and then
    /// `… MIGRATING`.
    package func beginMoving(_ slot: Int, to target: Int) throws(RedisError) {
        let source = try owner(of: slot)
        guard models.indices.contains(target), view.members[target].master == nil else {
            throw RedisError(.invalidArgument, "Slot \(slot) can move only to a master.")
        }
        guard source != target else {
            throw RedisError(.invalidArgument, "Slot \(slot) belongs to that node already.")
        }
        guard nodes[source].migrating[slot] == nil else {
            throw RedisError(.invalidArgument, "Slot \(slot) moves already.")
        }
        try checkReachable(source, target)
        nodes[target].importing[slot] = source
        nodes[source].migrating[slot] = target
    }

    /// Moves keys of a slot that is moving, in the order of their bytes. Returns how many.
    package func moveKeys(of slot: Int, atMost count: Int) throws(RedisError) -> Int {
        let (source, target) = try move(of: slot)
        let keys = models[source].keys(in: slot).prefix(max(0, count))
        for key in keys { models[source].move(key, to: models[target]) }
        return keys.count
    }

    /// Gives a moving slot to its new owner, with all keys that are left.
    package func finishMoving(_ slot: Int) throws(RedisError) {
        let (source, target) = try move(of: slot)
        _ = try moveKeys(of: slot, atMost: .max)
        give(slot, from: source, to: target)
    }

    /// Old and new owner learn of the new owner by the command itself, the others by gossip.
    private func give(_ slot: Int, from source: Int, to target: Int) {
        nodes[source].migrating[slot] = nil
        nodes[target].importing[slot] = nil
        view.owners[slot] = target
        for index in [source, target] { nodes[index].view.owners[slot] = target }
        publish()
        models[source].redirectWaiting()
    }

    /// Moves a slot at once: clients see either the old owner or the new one.
    package func moveAtomically(_ slot: Int, to target: Int) throws(RedisError) {
        try beginMoving(slot, to: target)
        let (source, target) = try move(of: slot)
        give(slot, from: source, to: target)
        for key in models[source].keys(in: slot) { models[source].move(key, to: models[target]) }
    }

    package func owner(of slot: Int) throws(RedisError) -> Int {
        guard view.owners.indices.contains(slot) else {
            throw RedisError(.invalidArgument, "\(slot) is no slot: there are slots 0 to \(HashSlot.count - 1).")
        }
        guard let owner = view.owners[slot] else {
            throw RedisError(.invalidArgument, "No node serves slot \(slot).")
        }
        return owner
    }

    /// The old and the new owner of a slot that is moving.
    private func move(of slot: Int) throws(RedisError) -> (source: Int, target: Int) {
        let source = try owner(of: slot)
        guard let target = nodes[source].migrating[slot] else {
            throw RedisError(.invalidArgument, "Slot \(slot) does not move: call beginMoving(slot:to:) first.")
        }
        try checkReachable(source, target)
        return (source, target)
    }

    private func checkReachable(_ indices: Int...) throws(RedisError) {
        for index in indices where unreachable.contains(index) {
            throw RedisError(.invalidArgument, "\(view.members[index].hostname) does not run, so no slot can move.")
        }
    }

    // MARK: Nodes

    /// Stops replication from a master: its replicas keep the data that they have now.
    package func stopReplication(of master: Int) {
        if replicated[master] == nil { replicated[master] = models[master].dataCopy() }
    }

    package func startReplication(of master: Int) { replicated[master] = nil }

    /// Makes a replica the master of all slots of a master, which becomes a replica as soon as it hears of it. Returns
    /// the new master.
    package func failOver(_ master: Int) throws(RedisError) -> Int {
        guard models.indices.contains(master), view.members[master].master == nil else {
            throw RedisError(.invalidArgument, "The node is no master.")
        }
        guard let promoted = view.replicas(of: master).first(where: { !unreachable.contains($0) }) else {
            throw RedisError(.invalidArgument, "The node has no replica that could take over.")
        }
        let data = replicated.removeValue(forKey: master) ?? models[master].dataCopy()
        models[promoted].replaceData(by: data)
        if !models[master].version.isAtLeast7_0 {
            models[promoted].knownScripts.formUnion(models[master].loadedScripts)
            models[promoted].loadedScripts.formUnion(models[master].loadedScripts)
        }
        for member in view.members.indices where view.members[member].master == master {
            view.members[member].master = promoted
        }
        view.members[promoted].master = nil
        view.members[master].master = promoted
        view.members[master].hasFailed = unreachable.contains(master)
        view.owners = view.owners.map { $0 == master ? promoted : $0 }
        for node in nodes {
            node.migrating = node.migrating.filter { node.index != master && $0.value != master }
            node.importing = node.importing.filter { node.index != master && $0.value != master }
        }
        publish()
        return promoted
    }

    /// Nobody reaches the node any more.
    package func lose(_ index: Int) { unreachable.insert(index) }

    /// The node is reached again, and learns what it has missed.
    package func find(_ index: Int) {
        unreachable.remove(index)
        view.members[index].hasFailed = false
        publish()
    }

    /// Whether the other nodes tell a node what changes.
    package func setGossip(to index: Int, _ isOn: Bool) {
        if isOn { uninformed.remove(index) } else { uninformed.insert(index) }
        publish()
    }

    /// Makes the cluster refuse all commands with keys until `end`, by the monotonic clock.
    package func goDown(until end: Int) {
        view.downUntil = end
        publish()
    }

    /// Tells the nodes what has changed.
    private func publish() {
        for (index, node) in nodes.enumerated() where !unreachable.contains(index) && !uninformed.contains(index) {
            let wasMaster = node.master == nil
            node.view = view
            if wasMaster, node.master != nil {
                models[index].endWaitsAfterDemotion()
                models[index].replaceData(by: RedisModel.emptyData)
            } else {
                models[index].redirectWaiting()
            }
        }
    }
}
