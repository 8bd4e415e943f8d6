internal import NIOCore

/// Makes the connections of a pool. It knows the address, the login and the transport, and the pool does not.
protocol Connector: Sendable {
    /// Connects to the server, and logs in.
    ///
    /// - Throws: ``RedisError``: why the server cannot be reached, or why it does not let this client in.
    func connect(on eventLoop: any EventLoop) async throws(RedisError) -> RedisConnection

    /// Whether a connection that has just been made may be given out: it leads to the present server. The pool asks under its
    /// lock.
    func isCurrent(_ connection: RedisConnection) -> Bool

    /// The clock that leases on these connections go by.
    var leaseClock: LeaseClock { get }
}

extension Connector {
    /// It may: there is one server.
    func isCurrent(_ connection: RedisConnection) -> Bool { true }
}
