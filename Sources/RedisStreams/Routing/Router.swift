/// Says which node serves which keys.
///
/// With one server there is one node, which serves all keys: no slot is computed, and the keys are not even asked for.
final class Router: Sendable {
    /// The node of the one server; `nil` in a cluster.
    let node: Node?
    /// `nil` if the client has one server.
    let cluster: Cluster?
    /// The route for commands without keys.
    private let keyless: any Route

    /// A router to one server.
    init(_ node: Node) {
        self.node = node
        cluster = nil
        keyless = node
    }

    /// A router to the nodes of a cluster.
    init(_ cluster: Cluster) {
        node = nil
        self.cluster = cluster
        keyless = ClusterRoute(slot: nil, cluster: cluster)
    }

    /// A shared connection to the one server, if there is one now. Asking here and not the node spares each command a count
    /// of references to the node and to its pool, which all threads would change.
    func readyShared() -> RedisConnection? { node?.pool.readyShared() }

    /// The route to the server of a key, which all other keys of the caller are in one slot with.
    func route(for key: @autoclosure () -> StreamKey?) -> any Route {
        guard let cluster, let key = key() else { return keyless }
        return ClusterRoute(slot: key.slot, cluster: cluster)
    }

    /// Checks that keys can be used together.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/crossSlot``: they are in different slots of the cluster.
    func checkSlots(of keys: [StreamKey]) throws(RedisError) {
        if cluster != nil { _ = try SlotCheck.slot(of: keys) }
    }

    // MARK: All nodes

    /// Whether there is a connection to send commands on.
    var isReady: Bool { node?.pool.hasReadyShared ?? cluster?.hasReadyShared ?? false }

    /// Begins to connect, for callers that need a connection later and cannot wait for it then.
    func prepare() { keyless.prepareShared() }

    /// Waits until there is a connection.
    ///
    /// - Throws: ``RedisError``: why there is none within the time that the client waits.
    func waitUntilReady() async throws(RedisError) { _ = try await keyless.shared() }

    /// Closes all connections to all nodes, and fails everybody who waits for one.
    func close() {
        node?.pool.close()
        cluster?.close()
    }
}
