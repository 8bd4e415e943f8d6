extension RedisCommandExecutor {
    /// Gives pending messages back to the group; returns how many of them were pending.
    ///
    /// They have no owner until somebody claims them, be their idle time what it may.
    ///
    /// Source: [XNACK](https://redis.io/docs/latest/commands/xnack/).
    @discardableResult
    public func xnack(
        _ stream: StreamKey,
        group: String,
        _ mode: XNACK.Mode,
        ids: [StreamID],
        deliveryCount: Int? = nil,
        force: Bool = false
    ) async throws(RedisError) -> Int {
        try await execute(XNACK(stream, group: group, mode, ids: ids, deliveryCount: deliveryCount, force: force))
    }
}
