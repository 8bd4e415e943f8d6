extension RedisCommandExecutor {
    /// Reads the entries of streams above given ids. Returns a batch for each stream that has such entries, and an
    /// empty array if none has.
    ///
    /// With `block`, which must be above 0, the call waits up to this time for the first entry, on a connection of its
    /// own. `count` limits the entries of each stream.
    ///
    /// Source: [XREAD](https://redis.io/docs/latest/commands/xread/).
    public func xread(
        _ streams: [StreamOffset],
        count: Int? = nil,
        block: Duration? = nil,
        maxCount: Int? = nil,
        maxSize: Int? = nil
    ) async throws(RedisError) -> [MessageBatch] {
        try await execute(XREAD(streams, count: count, block: block, maxCount: maxCount, maxSize: maxSize))
    }
}
