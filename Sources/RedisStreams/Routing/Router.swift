/// Says which node serves which keys.
///
/// Today a client has one node, which serves all keys: no slot is computed, and the keys are not even asked for.
final class Router: Sendable {
    private let node: Node

    /// - Parameter makeNode: Makes the node of an endpoint.
    init(_ source: EndpointSource, makeNode: (Endpoint) -> Node) {
        switch source {
        case .fixed(let endpoint): node = makeNode(endpoint)
        }
    }

    /// The node that serves these keys. All of them have to be served by one node.
    func node(for keys: @autoclosure () -> [StreamKey]) -> Node { node }

    /// A shared connection to the node that serves these keys, if there is one now. Asking here and not the node spares each
    /// command a count of references to the node and to its pool, which all threads would change.
    func readyShared(for keys: @autoclosure () -> [StreamKey]) -> RedisConnection? { node.pool.readyShared() }

    /// A node for commands without keys, which every node can execute.
    var anyNode: Node { node }

    // MARK: All nodes

    /// Whether there is a connection to every node that commands may need.
    var isReady: Bool { node.pool.hasReadyShared }

    /// Lets the nodes without a connection make one, for callers that need it later and cannot wait for it then.
    func prepare() { node.pool.prepareShared() }

    /// Waits until there is a connection to every node.
    ///
    /// - Throws: ``RedisError``: why there is none within the time that the pool waits.
    func waitUntilReady() async throws(RedisError) { _ = try await node.pool.shared() }

    /// Closes all connections to all nodes, and fails everybody who waits for one.
    func close() { node.pool.close() }
}
