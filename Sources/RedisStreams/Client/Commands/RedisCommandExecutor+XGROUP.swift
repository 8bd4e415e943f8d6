extension RedisCommandExecutor {
    /// Creates a group that reads a stream from `start`.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/groupExists`` if the group exists, and, unless `createStream` is
    ///   set, a server error if the stream does not exist.
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

    /// Sets the position from which a group continues to read, back or ahead. Pending messages stay pending.
    ///
    /// A consumer that is waiting for messages notices the change only when an entry is added, or when it reads again.
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

    /// Deletes a group with its pending list; returns whether the group existed.
    ///
    /// Source: [XGROUP DESTROY](https://redis.io/docs/latest/commands/xgroup-destroy/).
    @discardableResult
    public func xgroupDestroy(_ stream: StreamKey, group: String) async throws(RedisError) -> Bool {
        try await execute(XGROUP.DESTROY(stream, group: group))
    }
}
