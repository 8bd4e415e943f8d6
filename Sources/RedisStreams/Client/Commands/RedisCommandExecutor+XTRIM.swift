extension RedisCommandExecutor {
    /// Removes the oldest entries of a stream; returns how many.
    ///
    /// The server also removes entries that a group has yet to read, unless `references` is
    /// ``ReferencePolicy/acknowledged``.
    ///
    /// Source: [XTRIM](https://redis.io/docs/latest/commands/xtrim/).
    @discardableResult
    public func xtrim(
        _ stream: StreamKey,
        _ strategy: TrimStrategy,
        references: ReferencePolicy? = nil
    ) async throws(RedisError) -> Int {
        try await execute(XTRIM(stream, strategy, references: references))
    }
}
