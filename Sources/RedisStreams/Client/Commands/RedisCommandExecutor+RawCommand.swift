extension RedisCommandExecutor {
    /// Sends any command, given by its name and arguments, and returns the reply without decoding it.
    ///
    /// ```swift
    /// let length = try await redis.send("LLEN", "jobs").integer
    /// ```
    ///
    /// Throws an error that the server replies; errors within an array stay in the reply. Refuses the commands that
    /// ``RawCommand`` refuses.
    ///
    /// Source: [Commands](https://redis.io/docs/latest/commands/).
    @discardableResult
    public func send(_ arguments: FieldValue...) async throws(RedisError) -> RedisReply {
        try await execute(RawCommand(arguments))
    }
}
