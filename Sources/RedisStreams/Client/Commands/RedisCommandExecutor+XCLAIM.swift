extension RedisCommandExecutor {
    /// Claims given pending messages for a consumer; returns the claimed ones.
    ///
    /// The server leaves out messages that were last delivered less than `minIdle` ago, or that are not pending. It
    /// also leaves out those whose entries have been deleted: Redis 7.0 and later remove these from the pending list,
    /// 6.2 does not.
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

    /// Claims given pending messages for a consumer, or resets the idle time of those that it already owns; returns
    /// only the ids of the claimed ones (`JUSTID`). The server does not change their delivery counts.
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
