extension RedisCommandExecutor {
    /// Returns information about a stream: its length, its first, last and highest ids.
    ///
    /// - Throws: ``RedisError``; a server error, `ERR no such key`, if there is no such stream.
    ///
    /// Source: [XINFO STREAM](https://redis.io/docs/latest/commands/xinfo-stream/).
    public func xinfoStream(_ stream: StreamKey) async throws(RedisError) -> StreamInfo {
        try await execute(XINFO.STREAM(stream))
    }

    /// Returns all information about a stream, its groups and their consumers, with at most `count` elements in each
    /// list: 10 if `count` is `nil`, all if it is 0.
    ///
    /// Source: [XINFO STREAM](https://redis.io/docs/latest/commands/xinfo-stream/).
    public func xinfoStreamFull(_ stream: StreamKey, count: Int? = nil) async throws(RedisError) -> StreamFullInfo {
        try await execute(XINFO.STREAMFULL(stream, count: count))
    }

    /// Returns information about the groups of a stream.
    ///
    /// Source: [XINFO GROUPS](https://redis.io/docs/latest/commands/xinfo-groups/).
    public func xinfoGroups(_ stream: StreamKey) async throws(RedisError) -> [GroupInfo] {
        try await execute(XINFO.GROUPS(stream))
    }

    /// Returns information about the consumers of a group.
    ///
    /// Source: [XINFO CONSUMERS](https://redis.io/docs/latest/commands/xinfo-consumers/).
    public func xinfoConsumers(_ stream: StreamKey, group: String) async throws(RedisError) -> [ConsumerInfo] {
        try await execute(XINFO.CONSUMERS(stream, group: group))
    }
}
