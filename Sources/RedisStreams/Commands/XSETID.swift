/// Sets the last id of a stream, above which new entries are added.
///
/// Redis itself uses the command for replication. It is also useful to restore a stream.
///
/// Source: [XSETID](https://redis.io/docs/latest/commands/xsetid/).
public struct XSETID: RedisCommand {
    /// `XSETID`.
    public static let name = "XSETID"

    /// The stream, which must exist.
    public var key: StreamKey
    /// The last id, not below that of the last entry.
    public var lastID: StreamID
    /// How many entries were ever added. Needs Redis 7.0. Default: unchanged.
    public var entriesAdded: Int?
    /// The highest id that was ever deleted. Needs Redis 7.0. Default: unchanged.
    public var maxDeletedID: StreamID?

    /// Sets the last id of this stream.
    public init(_ key: StreamKey, lastID: StreamID, entriesAdded: Int? = nil, maxDeletedID: StreamID? = nil) {
        self.key = key
        self.lastID = lastID
        self.entriesAdded = entriesAdded
        self.maxDeletedID = maxDeletedID
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Redis 7.0 for ``entriesAdded`` and ``maxDeletedID``.
    public var requirement: ServerRequirement? {
        guard entriesAdded != nil || maxDeletedID != nil else { return nil }
        return ServerRequirement("XSETID with ENTRIESADDED or MAXDELETEDID", redis: "7.0", valkey: "7.2")
    }

    /// Refuses a negative number of entries, and an invalid name.
    public func validate() throws(RedisError) {
        try check(stream: key)
        if let entriesAdded, entriesAdded < 0 { throw invalid("The number of entries added must not be negative.") }
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XSETID")
        encoder.append(key)
        encoder.append(lastID)
        if let entriesAdded {
            encoder.append("ENTRIESADDED")
            encoder.append(entriesAdded)
        }
        if let maxDeletedID {
            encoder.append("MAXDELETEDID")
            encoder.append(maxDeletedID)
        }
    }

    /// Checks that the reply is `OK`.
    public func decode(_ reply: RedisReply) throws(RedisError) { try ok(reply) }
}

/// Sets how long, and how many, messages of a stream's idempotent producers a server remembers (``Idempotency``).
///
/// With new values the server forgets what it remembers: a repetition that is under way is then added a second time.
///
/// Source: [XCFGSET](https://redis.io/docs/latest/commands/xcfgset/).
public struct XCFGSET: RedisCommand {
    /// `XCFGSET`.
    public static let name = "XCFGSET"

    /// The stream, which must exist.
    public var key: StreamKey
    /// How long the server remembers a message, in whole seconds, rounded up: up to a day. Default: unchanged;
    /// initially 100 s.
    public var idempotencyDuration: Duration?
    /// How many messages of each producer the server remembers: 1 to 10,000. Default: unchanged; initially 100.
    public var idempotencyMaxSize: Int?

    /// Sets these limits for this stream.
    public init(_ key: StreamKey, idempotencyDuration: Duration? = nil, idempotencyMaxSize: Int? = nil) {
        self.key = key
        self.idempotencyDuration = idempotencyDuration
        self.idempotencyMaxSize = idempotencyMaxSize
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Redis 8.6.
    public var requirement: ServerRequirement? { ServerRequirement("XCFGSET", redis: "8.6") }

    /// Refuses a command that sets nothing, values that no server accepts, and an invalid name.
    public func validate() throws(RedisError) {
        try check(stream: key)
        guard idempotencyDuration != nil || idempotencyMaxSize != nil else {
            throw invalid("Give a duration, a size, or both.")
        }
        if let idempotencyDuration, idempotencyDuration <= .zero || idempotencyDuration > .seconds(86_400) {
            throw invalid("The duration must be above zero, and a day at most.")
        }
        if let idempotencyMaxSize, !(1...10_000).contains(idempotencyMaxSize) {
            throw invalid("The size must be 1 to 10000.")
        }
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XCFGSET")
        encoder.append(key)
        if let idempotencyDuration {
            encoder.append("IDMP-DURATION")
            encoder.append(seconds: idempotencyDuration)
        }
        if let idempotencyMaxSize {
            encoder.append("IDMP-MAXSIZE")
            encoder.append(idempotencyMaxSize)
        }
    }

    /// Checks that the reply is `OK`.
    public func decode(_ reply: RedisReply) throws(RedisError) { try ok(reply) }
}

extension CommandEncoder {
    /// Appends a duration that is not negative as one argument, in whole seconds, rounded up.
    mutating func append(seconds duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (sum, overflow) = seconds.addingReportingOverflow(attoseconds > 0 ? 1 : 0)
        append(overflow ? Int.max : Int(sum))
    }
}
