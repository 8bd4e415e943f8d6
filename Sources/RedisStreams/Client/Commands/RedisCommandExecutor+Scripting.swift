extension RedisCommandExecutor {
    /// Runs a Lua script on the server, as one atomic step; returns the result of the script.
    ///
    /// Pass every key that the script uses in `keys`.
    ///
    /// Source: [EVAL](https://redis.io/docs/latest/commands/eval/).
    @discardableResult
    public func eval(
        _ script: String,
        keys: [StreamKey] = [],
        arguments: [FieldValue] = []
    ) async throws(RedisError) -> RedisReply {
        try await execute(EVAL(script, keys: keys, arguments: arguments))
    }

    /// Runs a Lua script that the server already knows, by its SHA-1; returns the result of the script.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/noScript`` if the server does not know the script: send it with
    ///   ``eval(_:keys:arguments:)``.
    ///
    /// Source: [EVALSHA](https://redis.io/docs/latest/commands/evalsha/).
    @discardableResult
    public func evalsha(
        _ sha1: String,
        keys: [StreamKey] = [],
        arguments: [FieldValue] = []
    ) async throws(RedisError) -> RedisReply {
        try await execute(EVALSHA(sha1, keys: keys, arguments: arguments))
    }
}
