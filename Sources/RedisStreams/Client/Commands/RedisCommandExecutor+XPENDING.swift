extension RedisCommandExecutor {
    /// Summarizes the pending messages of a group: how many, from which id to which, and of which consumers.
    ///
    /// Source: [XPENDING](https://redis.io/docs/latest/commands/xpending/).
    public func xpending(_ stream: StreamKey, group: String) async throws(RedisError) -> PendingSummary {
        try await execute(XPENDING(stream, group: group))
    }

    /// Lists the pending messages of a group, lowest id first, at most `count` of them.
    ///
    /// To page, continue from `.excluding(lastID)` until a page is empty.
    ///
    /// Source: [XPENDING](https://redis.io/docs/latest/commands/xpending/).
    public func xpending(
        _ stream: StreamKey,
        group: String,
        from lower: RangeBound = .unbounded,
        to upper: RangeBound = .unbounded,
        count: Int,
        minIdle: Duration? = nil,
        consumer: String? = nil
    ) async throws(RedisError) -> [PendingEntry] {
        try await execute(
            XPENDING.Entries(
                stream,
                group: group,
                from: lower,
                to: upper,
                count: count,
                minIdle: minIdle,
                consumer: consumer
            )
        )
    }
}
