/// What a server knows as a node of a cluster, and which commands it does not execute for that reason.
///
/// The rules are those of `getNodeByQuery` in the servers' `cluster.c`; the conformance tests compare them with real
/// clusters.
final class ClusterNode {
    /// The position of this node among the members of the cluster.
    let index: Int
    var view: ClusterView
    /// The slots that this node gives away, each with the position of its new master.
    var migrating: [Int: Int] = [:]
    /// The slots that this node takes over, each with the position of its old master.
    var importing: [Int: Int] = [:]

    init(index: Int, view: ClusterView) {
        self.index = index
        self.view = view
    }

    var member: ClusterView.Member { view.members[index] }

    /// The master of this node; `nil` if it is a master itself.
    var master: ClusterView.Member? { member.master.map { view.members[$0] } }

    /// Returns the error by which the node refuses a command: because another node has the keys, because they have
    /// several slots, or because the cluster is down.
    func refusal(
        of command: [Bytes],
        _ spec: CommandSpec,
        _ client: RedisModel.Client,
        in model: RedisModel
    ) -> ReplyError? {
        let isExec = spec.name == "exec"
        let commands = isExec ? client.transaction?.commands ?? [] : [command]
        let keys = commands.flatMap { CommandKeys.of($0) }
        guard let first = keys.first else { return nil }
        let slot = HashSlot.of(first)
        guard let owner = view.owners[slot] else { return .slotNotServed }
        guard keys.allSatisfy({ HashSlot.of($0) == slot }) else { return .crossSlot }
        if view.isDown(at: model.time) { return .clusterDown }
        if owner == index, let target = migrating[slot] {
            // Valkey checks the keys of a transaction when it executes it.
            if model.version == .valkey9_1, client.transaction != nil, !isExec { return nil }
            let missing = keys.count { !model.has($0) }
            if missing == 0 { return nil }
            let isSplit = missing < keys.count && model.version.isAtLeast7_0
            return isSplit ? .tryAgain : redirection("ASK", slot, to: target)
        }
        if importing[slot] != nil, client.isAsking {
            let isSplit = keys.contains { $0 != first } && keys.contains { !model.has($0) }
            return isSplit ? .tryAgain : nil
        }
        return owner == index ? nil : redirection("MOVED", slot, to: owner)
    }

    /// Returns the error that ends a wait for this key; `nil` if the client waits on.
    func refusal(ofWaitFor key: Bytes, in model: RedisModel) -> ReplyError? {
        if view.isDown(at: model.time) { return .clusterDown }
        let slot = HashSlot.of(key)
        guard let owner = view.owners[slot] else { return .slotNotServed }
        return owner == index || importing[slot] != nil ? nil : redirection("MOVED", slot, to: owner)
    }

    private func redirection(_ word: String, _ slot: Int, to target: Int) -> ReplyError {
        let member = view.members[target]
        return ReplyError("\(word) \(slot) \(view.endpoint(member)):\(member.port)")
    }
}

extension ReplyError {
    fileprivate static let slotNotServed = ReplyError("CLUSTERDOWN Hash slot not served")
    fileprivate static let clusterDown = ReplyError("CLUSTERDOWN The cluster is down")
    fileprivate static let crossSlot = ReplyError("CROSSSLOT Keys in request don't hash to the same slot")
    fileprivate static let tryAgain = ReplyError("TRYAGAIN Multiple keys request during rehashing of slot")
}
