internal import NIOCore
internal import Synchronization

/// The route of one caller to the node that serves the slot of its keys, wherever the slot moves.
///
/// While the slot is being moved, and the key is already on the new node, the old one answers `ASK`. The client does not
/// remember that for a slot, since another key of it may still be on the old node: this route remembers it for the keys of
/// its caller, until the map names another owner, or the group is missing there.
final class ClusterRoute: Route {
    private struct State {
        /// Where the key is while its slot is being moved.
        var asking: (address: ServerAddress, owner: ServerAddress?)?
        /// Whether the owner of the slot was asked again for a group that is missing on the new node.
        var hasAskedOwnerAgain = false
        /// The nodes of the connections that are leased.
        var leases: [ObjectIdentifier: Node] = [:]
    }

    /// `nil` for commands without keys.
    private let slot: Int?
    private let cluster: Cluster
    private let state = Mutex(State())

    init(slot: Int?, cluster: Cluster) {
        self.slot = slot
        self.cluster = cluster
    }

    /// The node to use now; `nil` if none is known.
    private var node: Node? {
        guard let owner = cluster.owner(of: slot) else { return nil }
        let asking: ServerAddress? = state.withLock { state in
            // A map that names another owner is newer than what the old owner said.
            if let asking = state.asking, asking.owner != owner.endpoint.address { state.asking = nil }
            return state.asking?.address
        }
        return asking.map { cluster.node(at: $0, .asking) } ?? owner
    }

    // MARK: Connections

    /// Calls `body` with the node until it succeeds, since another node may serve the slot after a failure.
    private func attempt<Value: Sendable>(
        _ body: (Node) async throws(RedisError) -> Value
    ) async throws(RedisError) -> Value {
        let deadline = cluster.now + TimeAmount(cluster.settings.acquireTimeout)
        var failures = 0
        while true {
            let failure: RedisError
            if let node {
                do throws(RedisError) { return try await body(node) } catch { failure = error }
                let address = node.endpoint.address
                let wasAsking = state.withLock { state in
                    defer { state.asking = nil }
                    return state.asking?.address == address
                }
                if !wasAsking, failure.isRefusalOfPeer {
                    try await cluster.waitForOtherOwner(of: slot, than: address, after: failure, before: deadline)
                    continue
                }
            } else {
                failure = cluster.noOwner(of: slot)
            }
            failures += 1
            try await cluster.waitToTryAgain(after: failure, attempt: failures, before: deadline)
        }
    }

    func lease(on eventLoop: (any EventLoop)?) async throws(RedisError) -> RedisConnection {
        try await attempt { node throws(RedisError) in
            let connection = try await node.pool.lease(on: eventLoop)
            self.state.withLock { $0.leases[ObjectIdentifier(connection)] = node }
            return connection
        }
    }

    private func endLease(of connection: RedisConnection) -> Node? {
        state.withLock { $0.leases.removeValue(forKey: ObjectIdentifier(connection)) }
    }

    func release(_ connection: RedisConnection) { endLease(of: connection)?.pool.release(connection) }

    func released(_ connection: RedisConnection) async { await endLease(of: connection)?.pool.released(connection) }

    func readyShared() -> RedisConnection? { node?.pool.readyShared() }

    func shared(preferring preferred: RedisConnection?) async throws(RedisError) -> RedisConnection {
        try await attempt { node throws(RedisError) in try await node.pool.shared(preferring: preferred) }
    }

    func prepareShared() { node?.pool.prepareShared() }

    func readyShared(toServerOf connection: RedisConnection) -> RedisConnection? {
        cluster.readyShared(toServerOf: connection)
    }

    func serverIsNotMaster() { cluster.needsMap() }

    var randomness: @Sendable () -> Double { cluster.settings.randomness }

    var leaseClock: LeaseClock { cluster.settings.leaseClock }

    // MARK: Redirections

    func follow(_ error: RedisError) {
        guard let redirection = error.redirection, redirection.slot == slot else { return }
        // The move was cancelled, or is over.
        if redirection.kind == .moved { return state.withLock { $0.asking = nil } }
        guard let owner = cluster.owner(of: slot)?.endpoint.address else { return }
        guard let address = redirection.address(from: owner) else { return }
        state.withLock { $0.asking = (address, owner) }
    }

    func asksOwnerAgain() -> Bool {
        state.withLock { state in
            guard state.asking != nil, !state.hasAskedOwnerAgain else {
                state.hasAskedOwnerAgain = false
                return false
            }
            state.asking = nil
            state.hasAskedOwnerAgain = true
            return true
        }
    }
}
