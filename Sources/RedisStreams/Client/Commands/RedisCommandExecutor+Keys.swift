extension RedisCommandExecutor {
    /// Asks the server for a sign of life.
    ///
    /// Source: [PING](https://redis.io/docs/latest/commands/ping/).
    public func ping() async throws(RedisError) {
        try await execute(PING())
    }

    /// Deletes keys, whatever they hold; returns how many there were.
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

    /// Sets after which time, in whole seconds, a key is deleted; returns whether it was set.
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
