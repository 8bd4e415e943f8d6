extension RedisCommandExecutor {
    /// Reads streams as a consumer of a group. Returns a batch for each stream that has messages, and an empty array if
    /// none has.
    ///
    /// With `block`, which must be above 0, the call waits up to this time for the first message, on a connection of
    /// its own. `count` limits the messages of each stream.
    ///
    /// Source: [XREADGROUP](https://redis.io/docs/latest/commands/xreadgroup/).
    public func xreadgroup(
        group: String,
        consumer: String,
        streams: [GroupOffset],
        count: Int? = nil,
        block: Duration? = nil,
        noAck: Bool = false,
        claim: Duration? = nil,
        maxCount: Int? = nil,
        maxSize: Int? = nil
    ) async throws(RedisError) -> [MessageBatch] {
        try await execute(
            XREADGROUP(
                group: group,
                consumer: consumer,
                streams: streams,
                count: count,
                block: block,
                noAck: noAck,
                claim: claim,
                maxCount: maxCount,
                maxSize: maxSize
            )
        )
    }
}
