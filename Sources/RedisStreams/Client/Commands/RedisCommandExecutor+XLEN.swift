extension RedisCommandExecutor {
    /// Counts the entries of a stream: 0 if it does not exist.
    ///
    /// Source: [XLEN](https://redis.io/docs/latest/commands/xlen/).
    public func xlen(_ stream: StreamKey) async throws(RedisError) -> Int {
        try await execute(XLEN(stream))
    }
}
