extension RedisCommandExecutor {
    /// Creates a group that reads a stream from `start` on.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/groupExists`` if the group exists, and, unless `createStream` is
    ///   set, a server error if the stream does not.
    ///
    /// Source: [XGROUP CREATE](https://redis.io/docs/latest/commands/xgroup-create/).
    public func xgroupCreate(
        _ stream: StreamKey,
        group: String,
        from start: XGROUP.Start = .beginning,
        createStream: Bool = false,
        entriesRead: Int? = nil
    ) async throws(RedisError) {
        try await execute(
            XGROUP.CREATE(stream, group: group, from: start, createStream: createStream, entriesRead: entriesRead)
        )
    }

    /// Sets from where on a group reads, back or ahead. What is pending stays so.
    ///
    /// Consumers that are waiting for messages notice only when an entry is added, or when they read again.
    ///
    /// Source: [XGROUP SETID](https://redis.io/docs/latest/commands/xgroup-setid/).
    public func xgroupSetID(
        _ stream: StreamKey,
        group: String,
        to start: XGROUP.Start,
        entriesRead: Int? = nil
    ) async throws(RedisError) {
        try await execute(XGROUP.SETID(stream, group: group, to: start, entriesRead: entriesRead))
    }

    /// Deletes a group, with everything that is pending for it; returns whether there was one.
    ///
    /// Source: [XGROUP DESTROY](https://redis.io/docs/latest/commands/xgroup-destroy/).
    @discardableResult
    public func xgroupDestroy(_ stream: StreamKey, group: String) async throws(RedisError) -> Bool {
        try await execute(XGROUP.DESTROY(stream, group: group))
    }
}
