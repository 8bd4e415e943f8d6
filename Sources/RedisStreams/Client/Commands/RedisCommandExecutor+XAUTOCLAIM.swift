extension RedisCommandExecutor {
    /// Claims messages that have been idle for `minIdle`, whichever consumer owns them, this one included. One call is
    /// one step of a claim scan.
    ///
    /// Continue from ``AutoclaimResult/next`` until ``AutoclaimResult/isComplete``: a step that claims nothing need not
    /// be the last.
    ///
    /// Source: [XAUTOCLAIM](https://redis.io/docs/latest/commands/xautoclaim/).
    public func xautoclaim(
        _ stream: StreamKey,
        group: String,
        consumer: String,
        minIdle: Duration,
        start: StreamID = .zero,
        count: Int? = nil
    ) async throws(RedisError) -> AutoclaimResult {
        try await execute(
            XAUTOCLAIM(stream, group: group, consumer: consumer, minIdle: minIdle, start: start, count: count)
        )
    }

    /// Claims messages that have been idle for `minIdle`, as ``xautoclaim(_:group:consumer:minIdle:start:count:)``
    /// does, and returns only their ids (`JUSTID`). The server does not change their delivery counts.
    ///
    /// Source: [XAUTOCLAIM](https://redis.io/docs/latest/commands/xautoclaim/).
    public func xautoclaimJustID(
        _ stream: StreamKey,
        group: String,
        consumer: String,
        minIdle: Duration,
        start: StreamID = .zero,
        count: Int? = nil
    ) async throws(RedisError) -> AutoclaimedIDs {
        try await execute(
            XAUTOCLAIM.JUSTID(
                XAUTOCLAIM(stream, group: group, consumer: consumer, minIdle: minIdle, start: start, count: count)
            )
        )
    }
}
