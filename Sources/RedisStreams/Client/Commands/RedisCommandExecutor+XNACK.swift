extension RedisCommandExecutor {
    /// Returns pending messages to the group without an owner; the result is how many of them were pending.
    ///
    /// Any consumer can claim them, whatever idle time it asks for.
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
