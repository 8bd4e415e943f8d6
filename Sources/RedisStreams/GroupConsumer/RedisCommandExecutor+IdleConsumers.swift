extension RedisCommandExecutor {
    /// Removes consumers of a group that have no pending messages and have been idle for a time.
    ///
    /// A consumer that ends cleanly removes itself, and the other consumers of the group remove names that this library
    /// has generated. Use this for chosen names that do not come back, such as those of pods. It never removes a
    /// consumer with pending messages: other consumers claim these first. It keeps the consumer that the server has
    /// seen last, since its idle time shows for how long the group has had no consumers (``GroupTrim/abandonedAfter``).
    ///
    /// To remove a consumer that is alive does no harm: the server creates it again with its next message. Before Redis
    /// 7.2, a consumer that waits for messages counts as idle since its last one.
    ///
    /// - Parameters:
    ///   - stream: The stream.
    ///   - group: The group.
    ///   - idleTime: How long a consumer has to be idle.
    ///   - names: Which consumers to remove; `nil` for all.
    /// - Returns: The names that were removed.
    /// - Throws: ``RedisError``, with ``RedisError/Code/noGroup`` if there is no such group.
    ///
    /// Source: [XGROUP DELCONSUMER](https://redis.io/docs/latest/commands/xgroup-delconsumer/).
    @discardableResult
    public func removeIdleConsumers(
        _ stream: StreamKey,
        group: String,
        idleFor idleTime: Duration,
        names: [String]? = nil
    ) async throws(RedisError) -> [String] {
        guard idleTime >= .zero else {
            throw RedisError(.invalidArgument, "idleFor must not be negative.")
        }
        if names?.isEmpty == true { return [] }
        let call = ScriptCall.removingNames(of: group, in: stream, idleFor: idleTime, among: names ?? [])
        var removed: [String] = []
        while true {
            let (page, _) = try call.removedNames(try await run(call))
            removed += page
            // A full page means that there may be more names to remove.
            guard page.count == 1000, removed.count < 100_000_000 else { return removed }
        }
    }
}
