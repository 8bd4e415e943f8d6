extension RedisCommandExecutor {
    /// Sends any command, spelled out, and returns the reply as it is.
    ///
    /// ```swift
    /// let length = try await redis.send("LLEN", "jobs").integer
    /// ```
    ///
    /// Errors that the server replies are thrown; those within an array are left there. What ``RawCommand`` refuses is
    /// refused here.
    ///
    /// Source: [Commands](https://redis.io/docs/latest/commands/).
    @discardableResult
    public func send(_ arguments: FieldValue...) async throws(RedisError) -> RedisReply {
        try await execute(RawCommand(arguments))
    }
}
