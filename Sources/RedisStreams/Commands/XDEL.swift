/// Deletes entries. In groups where an entry is pending, it stays pending, without its fields.
///
/// Source: [XDEL](https://redis.io/docs/latest/commands/xdel/).
public struct XDEL: RedisCommand {
    /// `XDEL`.
    public static let name = "XDEL"

    /// The stream.
    public var key: StreamKey
    /// The entries, at least one.
    public var ids: [StreamID]

    /// Deletes these entries.
    public init(_ key: StreamKey, ids: [StreamID]) {
        self.key = key
        self.ids = ids
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Refuses an empty list of ids, and an invalid name.
    public func validate() throws(RedisError) {
        try check(stream: key)
        try check(ids: ids)
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XDEL")
        encoder.append(key)
        encoder.append(ids)
    }

    /// How many entries were deleted.
    public func decode(_ reply: RedisReply) throws(RedisError) -> Int { try integer(reply) }
}

/// Deletes entries, with a policy for the references of groups to them.
///
/// Source: [XDELEX](https://redis.io/docs/latest/commands/xdelex/).
public struct XDELEX: RedisCommand {
    /// `XDELEX`.
    public static let name = "XDELEX"

    /// The stream.
    public var key: StreamKey
    /// The entries, at least one.
    public var ids: [StreamID]
    /// What the server does with the references of groups. Default: ``ReferencePolicy/keep``.
    public var references: ReferencePolicy

    /// Deletes these entries.
    public init(_ key: StreamKey, ids: [StreamID], references: ReferencePolicy = .keep) {
        self.key = key
        self.ids = ids
        self.references = references
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Redis 8.2 or Valkey 9.2.
    public var requirement: ServerRequirement? { ServerRequirement("XDELEX", redis: "8.2", valkey: "9.2") }

    /// Refuses an empty list of ids, and an invalid name.
    public func validate() throws(RedisError) {
        try check(stream: key)
        try check(ids: ids)
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XDELEX")
        encoder.append(key)
        references.append(to: &encoder)
        encoder.append(countedIDs: ids)
    }

    /// The result for each entry, in the order of the ids.
    public func decode(_ reply: RedisReply) throws(RedisError) -> [DeletionResult] {
        try deletionResults(reply, count: ids.count)
    }
}
