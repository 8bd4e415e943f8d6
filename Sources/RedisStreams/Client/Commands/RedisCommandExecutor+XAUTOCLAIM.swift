extension RedisCommandExecutor {
    /// Takes over messages that have been pending for `minIdle`, for any consumer, this one included; one step.
    ///
    /// Go on from ``AutoclaimResult/next`` until ``AutoclaimResult/isComplete``: a step that takes nothing need not be
    /// the last.
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

    /// Takes over messages that have been pending for `minIdle`, as ``xautoclaim(_:group:consumer:minIdle:start:count:)``
    /// does, and returns only their ids (`JUSTID`). Delivery counts stay.
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
