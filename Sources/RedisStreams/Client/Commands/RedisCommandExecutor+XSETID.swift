extension RedisCommandExecutor {
    /// Sets the last id of a stream that exists.
    ///
    /// Source: [XSETID](https://redis.io/docs/latest/commands/xsetid/).
    public func xsetid(
        _ stream: StreamKey,
        lastID: StreamID,
        entriesAdded: Int? = nil,
        maxDeletedID: StreamID? = nil
    ) async throws(RedisError) {
        try await execute(XSETID(stream, lastID: lastID, entriesAdded: entriesAdded, maxDeletedID: maxDeletedID))
    }

    /// Sets how long, and how many, messages of idempotent producers the server remembers for a stream that exists.
    ///
    /// With new values the server forgets what it remembers.
    ///
    /// Source: [XCFGSET](https://redis.io/docs/latest/commands/xcfgset/).
    public func xcfgset(
        _ stream: StreamKey,
        idempotencyDuration: Duration? = nil,
        idempotencyMaxSize: Int? = nil
    ) async throws(RedisError) {
        try await execute(
            XCFGSET(stream, idempotencyDuration: idempotencyDuration, idempotencyMaxSize: idempotencyMaxSize)
        )
    }
}
