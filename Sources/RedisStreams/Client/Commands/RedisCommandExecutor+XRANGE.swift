extension RedisCommandExecutor {
    /// Reads the entries of a stream from `lower` to `upper`, lowest first, at most `count`.
    ///
    /// To page, continue from `.excluding(lastID)` until a page is empty.
    ///
    /// Source: [XRANGE](https://redis.io/docs/latest/commands/xrange/).
    public func xrange(
        _ stream: StreamKey,
        from lower: RangeBound = .unbounded,
        to upper: RangeBound = .unbounded,
        count: Int? = nil
    ) async throws(RedisError) -> MessageBatch {
        try await execute(XRANGE(stream, from: lower, to: upper, count: count))
    }

    /// Reads the entries of a stream from `upper` down to `lower`, highest first, at most `count`.
    ///
    /// Source: [XREVRANGE](https://redis.io/docs/latest/commands/xrevrange/).
    public func xrevrange(
        _ stream: StreamKey,
        from upper: RangeBound = .unbounded,
        downTo lower: RangeBound = .unbounded,
        count: Int? = nil
    ) async throws(RedisError) -> MessageBatch {
        try await execute(XREVRANGE(stream, from: upper, downTo: lower, count: count))
    }
}
