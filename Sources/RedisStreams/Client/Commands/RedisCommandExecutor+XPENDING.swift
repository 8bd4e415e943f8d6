extension RedisCommandExecutor {
    /// Sums up what is pending for a group: how many messages, from which id to which, and for whom.
    ///
    /// Source: [XPENDING](https://redis.io/docs/latest/commands/xpending/).
    public func xpending(_ stream: StreamKey, group: String) async throws(RedisError) -> PendingSummary {
        try await execute(XPENDING(stream, group: group))
    }

    /// Lists what is pending for a group, lowest id first, at most `count` entries.
    ///
    /// To page, go on from `.excluding(lastID)` until a page is empty.
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
