extension RedisCommandExecutor {
    /// Acknowledges messages of a group; returns how many of them were pending until now.
    ///
    /// A message that is not pending, because it was acknowledged before or never delivered, does not count and is no
    /// error.
    ///
    /// Source: [XACK](https://redis.io/docs/latest/commands/xack/).
    @discardableResult
    public func xack(_ stream: StreamKey, group: String, ids: [StreamID]) async throws(RedisError) -> Int {
        try await execute(XACK(stream, group: group, ids: ids))
    }

    /// Acknowledges messages of a group and deletes their entries; returns the result for each, in the order of `ids`.
    ///
    /// More than one id in a command can crash Redis 8.2.0 to 8.2.2 (CVE-2025-62507): send one id at a time to them.
    ///
    /// Source: [XACKDEL](https://redis.io/docs/latest/commands/xackdel/).
    @discardableResult
    public func xackdel(
        _ stream: StreamKey,
        group: String,
        ids: [StreamID],
        references: ReferencePolicy = .keep
    ) async throws(RedisError) -> [DeletionResult] {
        try await execute(XACKDEL(stream, group: group, ids: ids, references: references))
    }
}
