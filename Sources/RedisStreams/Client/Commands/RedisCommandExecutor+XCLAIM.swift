extension RedisCommandExecutor {
    /// Takes over given pending messages for a consumer; returns those that it got.
    ///
    /// Messages that were delivered less than `minIdle` ago, or that are not pending, are left out. So are those whose
    /// entries have been deleted: Redis 7.0 and later also end their being pending, 6.2 does not.
    ///
    /// Source: [XCLAIM](https://redis.io/docs/latest/commands/xclaim/).
    public func xclaim(
        _ stream: StreamKey,
        group: String,
        consumer: String,
        minIdle: Duration,
        ids: [StreamID],
        delivery: XCLAIM.Delivery? = nil,
        deliveryCount: Int? = nil,
        force: Bool = false,
        lastID: StreamID? = nil
    ) async throws(RedisError) -> MessageBatch {
        try await execute(
            XCLAIM(
                stream,
                group: group,
                consumer: consumer,
                minIdle: minIdle,
                ids: ids,
                delivery: delivery,
                deliveryCount: deliveryCount,
                force: force,
                lastID: lastID
            )
        )
    }

    /// Takes over given pending messages for a consumer, or renews its hold on them, and returns only the ids of those
    /// that it got (`JUSTID`). Delivery counts stay.
    ///
    /// Source: [XCLAIM](https://redis.io/docs/latest/commands/xclaim/).
    @discardableResult
    public func xclaimJustID(
        _ stream: StreamKey,
        group: String,
        consumer: String,
        minIdle: Duration,
        ids: [StreamID],
        delivery: XCLAIM.Delivery? = nil,
        deliveryCount: Int? = nil,
        force: Bool = false,
        lastID: StreamID? = nil
    ) async throws(RedisError) -> [StreamID] {
        try await execute(
            XCLAIM.JUSTID(
                XCLAIM(
                    stream,
                    group: group,
                    consumer: consumer,
                    minIdle: minIdle,
                    ids: ids,
                    delivery: delivery,
                    deliveryCount: deliveryCount,
                    force: force,
                    lastID: lastID
                )
            )
        )
    }
}
