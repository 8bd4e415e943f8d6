extension RedisCommandExecutor {
    /// Asks the server for a reply, to test whether it is alive.
    ///
    /// Source: [PING](https://redis.io/docs/latest/commands/ping/).
    public func ping() async throws(RedisError) {
        try await execute(PING())
    }

    /// Deletes keys, whatever they hold; returns how many existed.
    ///
    /// Source: [DEL](https://redis.io/docs/latest/commands/del/).
    @discardableResult
    public func del(_ keys: StreamKey...) async throws(RedisError) -> Int {
        try await execute(DEL(keys))
    }

    /// Counts which keys exist.
    ///
    /// Source: [EXISTS](https://redis.io/docs/latest/commands/exists/).
    public func exists(_ keys: StreamKey...) async throws(RedisError) -> Int {
        try await execute(EXISTS(keys))
    }

    /// Sets the time after which the server deletes a key, in whole seconds; returns whether the server set it.
    ///
    /// Source: [EXPIRE](https://redis.io/docs/latest/commands/expire/).
    @discardableResult
    public func expire(
        _ key: StreamKey,
        after time: Duration,
        _ condition: EXPIRE.Condition? = nil
    ) async throws(RedisError) -> Bool {
        try await execute(EXPIRE(key, after: time, condition))
    }
}
