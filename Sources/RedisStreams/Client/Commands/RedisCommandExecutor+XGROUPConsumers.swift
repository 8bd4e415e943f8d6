extension RedisCommandExecutor {
    /// Creates a consumer of a group; returns whether it is new. The server also creates it when it first reads.
    ///
    /// Source: [XGROUP CREATECONSUMER](https://redis.io/docs/latest/commands/xgroup-createconsumer/).
    @discardableResult
    public func xgroupCreateConsumer(
        _ stream: StreamKey,
        group: String,
        consumer: String
    ) async throws(RedisError) -> Bool {
        try await execute(XGROUP.CREATECONSUMER(stream, group: group, consumer: consumer))
    }

    /// Deletes a consumer of a group; returns how many messages were pending for it.
    ///
    /// - Warning: Those messages are **lost** to the group: they are no longer pending, and the server does not deliver
    ///   them again. Let another consumer claim them first (``xautoclaim(_:group:consumer:minIdle:start:count:)``).
    ///
    /// Source: [XGROUP DELCONSUMER](https://redis.io/docs/latest/commands/xgroup-delconsumer/).
    @discardableResult
    public func xgroupDelConsumer(
        _ stream: StreamKey,
        group: String,
        consumer: String
    ) async throws(RedisError) -> Int {
        try await execute(XGROUP.DELCONSUMER(stream, group: group, consumer: consumer))
    }
}
