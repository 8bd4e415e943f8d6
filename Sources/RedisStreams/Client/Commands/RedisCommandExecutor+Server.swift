extension RedisCommandExecutor {
    /// Waits until replicas have received the writes that were sent before **on the same connection**; returns how many
    /// have.
    ///
    /// A client has several connections, so the result says nothing about earlier writes: send both on one
    /// ``RedisConnection``.
    ///
    /// Source: [WAIT](https://redis.io/docs/latest/commands/wait/).
    public func wait(replicas: Int, timeout: Duration) async throws(RedisError) -> Int {
        try await execute(WAIT(replicas: replicas, timeout: timeout))
    }

    /// Waits until the server, replicas, or both have saved the writes that were sent before **on the same connection** to
    /// their append-only files; returns who has. Needs Redis 7.2.
    ///
    /// A client has several connections, so the result says nothing about earlier writes: send both on one
    /// ``RedisConnection``.
    ///
    /// Source: [WAITAOF](https://redis.io/docs/latest/commands/waitaof/).
    public func waitaof(local: Bool, replicas: Int, timeout: Duration) async throws(RedisError) -> WAITAOF.Saved {
        try await execute(WAITAOF(local: local, replicas: replicas, timeout: timeout))
    }

    /// Asks the server for information about itself: `section`, or the sections that it returns by default.
    ///
    /// Source: [INFO](https://redis.io/docs/latest/commands/info/).
    public func info(_ section: String? = nil) async throws(RedisError) -> ServerInfo {
        try await execute(INFO(section: section))
    }

    /// Asks the server for its role: master, replica or sentinel.
    ///
    /// Source: [ROLE](https://redis.io/docs/latest/commands/role/).
    public func role() async throws(RedisError) -> ServerRole {
        try await execute(ROLE())
    }
}
