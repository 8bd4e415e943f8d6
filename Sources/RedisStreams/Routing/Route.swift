internal import NIOCore

/// How a caller gets connections to the server of its keys: one node, or in a cluster whatever node serves them now.
protocol Route: Sendable {
    /// Leases a connection to one caller, on `eventLoop` if given. It goes back by `release`.
    func lease(on eventLoop: (any EventLoop)?) async throws(RedisError) -> RedisConnection

    /// Ends a lease.
    func release(_ connection: RedisConnection)

    /// Ends a lease, and returns when that is done: the next caller can get the connection.
    func released(_ connection: RedisConnection) async

    /// A shared connection, if there is one now.
    func readyShared() -> RedisConnection?

    /// A shared connection. Waits until one is there, or the deadline has passed.
    ///
    /// - Parameter preferred: The connection to use as long as it is one of the shared ones, for commands whose order matters.
    func shared(preferring preferred: RedisConnection?) async throws(RedisError) -> RedisConnection

    /// Begins to make the shared connections that are missing, for a caller that needs one later and cannot wait then.
    func prepareShared()

    /// A shared connection to the server that gave `connection` its id; `nil` if there is none now. Another server may have
    /// given the same id to somebody else's connection.
    func readyShared(toServerOf connection: RedisConnection) -> RedisConnection?

    /// The server of `connection` says that it is not the master.
    func serverIsNotMaster()

    /// A command of this caller has failed: the route takes the next connection from where the server sends the client.
    func follow(_ error: RedisError)

    /// A group is missing on a node that was asked while the slot is being moved. The node does not have the key yet, perhaps:
    /// the route returns to the owner of the slot. Returns `false` if the group is really missing.
    func asksOwnerAgain() -> Bool

    /// Returns random numbers from 0 to 1.
    var randomness: @Sendable () -> Double { get }

    /// The clock that leases go by.
    var leaseClock: LeaseClock { get }
}

extension Route {
    func lease() async throws(RedisError) -> RedisConnection { try await lease(on: nil) }

    func shared() async throws(RedisError) -> RedisConnection { try await shared(preferring: nil) }

    func follow(_ error: RedisError) {}

    func asksOwnerAgain() -> Bool { false }

    /// Calls `body` with a leased connection, in its own task: a cancelled task cannot wait for a connection, and a
    /// client that ends does not open shared ones any more.
    func withOwnConnection<Value: Sendable>(
        on eventLoop: any EventLoop,
        _ body: @escaping @Sendable (RedisConnection) async throws(RedisError) -> Value
    ) async throws(RedisError) -> Value {
        let task = Task { () -> Result<Value, RedisError> in
            do throws(RedisError) {
                let connection = try await self.lease(on: eventLoop)
                defer { self.release(connection) }
                return .success(try await body(connection))
            } catch {
                return .failure(error)
            }
        }
        return try await task.value.get()
    }
}

extension Node: Route {
    func lease(on eventLoop: (any EventLoop)?) async throws(RedisError) -> RedisConnection {
        try await pool.lease(on: eventLoop)
    }

    func release(_ connection: RedisConnection) { pool.release(connection) }

    func released(_ connection: RedisConnection) async { await pool.released(connection) }

    func readyShared() -> RedisConnection? { pool.readyShared() }

    func shared(preferring preferred: RedisConnection?) async throws(RedisError) -> RedisConnection {
        try await pool.shared(preferring: preferred)
    }

    func prepareShared() { pool.prepareShared() }

    var randomness: @Sendable () -> Double { pool.randomness }

    var leaseClock: LeaseClock { pool.leaseClock }
}
