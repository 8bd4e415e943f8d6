/// Acknowledges messages: the server removes them from the pending list of the group.
///
/// Any consumer can acknowledge any message of its group.
///
/// Source: [XACK](https://redis.io/docs/latest/commands/xack/).
public struct XACK: RedisCommand {
    /// `XACK`.
    public static let name = "XACK"

    /// The stream.
    public var key: StreamKey
    /// The group.
    public var group: String
    /// The messages, at least one.
    public var ids: [StreamID]

    /// Acknowledges these messages.
    public init(_ key: StreamKey, group: String, ids: [StreamID]) {
        self.key = key
        self.group = group
        self.ids = ids
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Refuses an empty list of ids, and invalid names.
    public func validate() throws(RedisError) {
        try check(stream: key)
        try check(group: group)
        try check(ids: ids)
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XACK")
        encoder.append(key)
        encoder.append(group)
        encoder.append(ids)
    }

    /// How many of the messages were pending until now.
    public func decode(_ reply: RedisReply) throws(RedisError) -> Int { try integer(reply) }
}

/// Acknowledges messages and deletes their entries, in one step.
///
/// More than one id in a command can crash Redis 8.2.0 to 8.2.2 (CVE-2025-62507): send one id at a time to them.
///
/// Source: [XACKDEL](https://redis.io/docs/latest/commands/xackdel/).
public struct XACKDEL: RedisCommand {
    /// `XACKDEL`.
    public static let name = "XACKDEL"

    /// The stream.
    public var key: StreamKey
    /// The group.
    public var group: String
    /// The messages, at least one.
    public var ids: [StreamID]
    /// What the server does with the references of groups. Default: ``ReferencePolicy/keep``.
    public var references: ReferencePolicy

    /// Acknowledges and deletes these messages.
    public init(_ key: StreamKey, group: String, ids: [StreamID], references: ReferencePolicy = .keep) {
        self.key = key
        self.group = group
        self.ids = ids
        self.references = references
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Redis 8.2 or Valkey 9.2.
    public var requirement: ServerRequirement? { ServerRequirement("XACKDEL", redis: "8.2", valkey: "9.2") }

    /// Refuses an empty list of ids, and invalid names.
    public func validate() throws(RedisError) {
        try check(stream: key)
        try check(group: group)
        try check(ids: ids)
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XACKDEL")
        encoder.append(key)
        encoder.append(group)
        references.append(to: &encoder)
        encoder.append(countedIDs: ids)
    }

    /// The result for each message, in the order of the ids.
    public func decode(_ reply: RedisReply) throws(RedisError) -> [DeletionResult] {
        try deletionResults(reply, count: ids.count)
    }
}

extension CommandEncoder {
    mutating func append(countedIDs ids: [StreamID]) {
        append("IDS")
        append(ids.count)
        append(ids)
    }
}
