extension RedisCommandExecutor {
    /// Acknowledges messages of a group; returns how many of them were pending until now.
    ///
    /// A message that was acknowledged before, or that the group does not know, does not count and is no error.
    ///
    /// Source: [XACK](https://redis.io/docs/latest/commands/xack/).
    @discardableResult
    public func xack(_ stream: StreamKey, group: String, ids: [StreamID]) async throws(RedisError) -> Int {
        try await execute(XACK(stream, group: group, ids: ids))
    }

    /// Acknowledges messages of a group and deletes their entries; returns what became of each, in the order of `ids`.
    ///
    /// Redis 8.2.0 to 8.2.2 can be crashed by more than one id in a command (CVE-2025-62507): send one at a time there.
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
