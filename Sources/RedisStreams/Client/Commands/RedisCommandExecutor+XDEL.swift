extension RedisCommandExecutor {
    /// Deletes entries of a stream; returns how many the server deleted.
    ///
    /// In groups where an entry is pending, it stays pending: readers then see ``StreamMessage/isDeleted``.
    ///
    /// Source: [XDEL](https://redis.io/docs/latest/commands/xdel/).
    @discardableResult
    public func xdel(_ stream: StreamKey, ids: [StreamID]) async throws(RedisError) -> Int {
        try await execute(XDEL(stream, ids: ids))
    }

    /// Deletes entries of a stream, with a policy for the references of groups to them; returns the result for each, in
    /// the order of `ids`.
    ///
    /// Source: [XDELEX](https://redis.io/docs/latest/commands/xdelex/).
    @discardableResult
    public func xdelex(
        _ stream: StreamKey,
        ids: [StreamID],
        references: ReferencePolicy = .keep
    ) async throws(RedisError) -> [DeletionResult] {
        try await execute(XDELEX(stream, ids: ids, references: references))
    }
}
