/// Reads the entries of a range of ids, lowest first.
///
/// Source: [XRANGE](https://redis.io/docs/latest/commands/xrange/).
public struct XRANGE: RedisCommand {
    /// `XRANGE`.
    public static let name = "XRANGE"

    /// The stream.
    public var key: StreamKey
    /// The lower end. Default: the first entry.
    public var lower: RangeBound
    /// The upper end. Default: the last entry.
    public var upper: RangeBound
    /// The most entries to read, at least 1. Default: no limit.
    public var count: Int?

    /// Reads the entries from `lower` to `upper`.
    public init(
        _ key: StreamKey,
        from lower: RangeBound = .unbounded,
        to upper: RangeBound = .unbounded,
        count: Int? = nil
    ) {
        self.key = key
        self.lower = lower
        self.upper = upper
        self.count = count
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Refuses a count below 1, and an invalid name.
    public func validate() throws(RedisError) {
        try check(stream: key)
        try check(count: count)
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XRANGE")
        encoder.append(key)
        let bounds = RangeBound.onWire(from: lower, to: upper)
        encoder.append(bounds.lower)
        encoder.append(bounds.upper)
        encoder.append(count: count)
    }

    /// The entries; none if there is no such stream.
    public func decode(_ reply: RedisReply) throws(RedisError) -> MessageBatch { try batch(of: key, reply) }
}

/// Reads the entries of a range of ids, highest first.
///
/// Source: [XREVRANGE](https://redis.io/docs/latest/commands/xrevrange/).
public struct XREVRANGE: RedisCommand {
    /// `XREVRANGE`.
    public static let name = "XREVRANGE"

    /// The stream.
    public var key: StreamKey
    /// The upper end, where reading begins. Default: the last entry.
    public var upper: RangeBound
    /// The lower end. Default: the first entry.
    public var lower: RangeBound
    /// The most entries to read, at least 1. Default: no limit.
    public var count: Int?

    /// Reads the entries from `upper` down to `lower`.
    public init(
        _ key: StreamKey,
        from upper: RangeBound = .unbounded,
        downTo lower: RangeBound = .unbounded,
        count: Int? = nil
    ) {
        self.key = key
        self.upper = upper
        self.lower = lower
        self.count = count
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Refuses a count below 1, and an invalid name.
    public func validate() throws(RedisError) {
        try check(stream: key)
        try check(count: count)
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XREVRANGE")
        encoder.append(key)
        let bounds = RangeBound.onWire(from: lower, to: upper)
        encoder.append(bounds.upper)
        encoder.append(bounds.lower)
        encoder.append(count: count)
    }

    /// The entries; none if there is no such stream.
    public func decode(_ reply: RedisReply) throws(RedisError) -> MessageBatch { try batch(of: key, reply) }
}
