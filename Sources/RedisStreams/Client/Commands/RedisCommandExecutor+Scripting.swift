extension RedisCommandExecutor {
    /// Runs a Lua script on the server, as one atomic step; returns what it returns.
    ///
    /// Name every key that it works on in `keys`.
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

    /// Runs a Lua script that the server knows already, named by its SHA-1; returns what it returns.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/noScript`` if the server does not know it: send it with
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
