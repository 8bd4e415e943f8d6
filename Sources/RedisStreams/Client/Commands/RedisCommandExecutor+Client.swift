extension RedisCommandExecutor {
    /// Returns the id of the connection that the command is sent on: on a client, the id of any of its connections.
    ///
    /// Source: [CLIENT ID](https://redis.io/docs/latest/commands/client-id/).
    public func clientID() async throws(RedisError) -> Int {
        try await execute(CLIENT.ID())
    }

    /// Closes the connection with this id; returns whether there was one.
    ///
    /// Source: [CLIENT KILL](https://redis.io/docs/latest/commands/client-kill/).
    @discardableResult
    public func clientKill(id: Int) async throws(RedisError) -> Bool {
        try await execute(CLIENT.KILL(id: id))
    }

    /// Unblocks the connection with this id; returns whether it was blocked.
    ///
    /// Source: [CLIENT UNBLOCK](https://redis.io/docs/latest/commands/client-unblock/).
    @discardableResult
    public func clientUnblock(id: Int, reason: CLIENT.UNBLOCK.Reason = .timeout) async throws(RedisError) -> Bool {
        try await execute(CLIENT.UNBLOCK(id: id, reason: reason))
    }
}
