/// Reads the entries of streams above given ids, and can wait for them.
///
/// There is no `$`, because it loses the entries that are added between two reads. ``StreamConsumer`` with `.latest`
/// finds the last id once, and continues from it.
///
/// Source: [XREAD](https://redis.io/docs/latest/commands/xread/).
public struct XREAD: RedisCommand {
    /// `XREAD`.
    public static let name = "XREAD"

    /// The streams, each with the id after which to read.
    public var streams: [StreamOffset]
    /// The most entries of each stream, at least 1. Default: no limit.
    public var count: Int?
    /// How long to wait for an entry if there is none, in whole milliseconds, rounded up, and above 0. Default: not at
    /// all.
    public var block: Duration?
    /// The most entries of all streams together, at least 1, and not below ``count``. Needs Redis 8.10. Default: no
    /// limit.
    public var maxCount: Int?
    /// About the most bytes of all entries together, at least 1. Needs Redis 8.10. Default: no limit.
    public var maxSize: Int?

    /// Reads these streams.
    public init(
        _ streams: [StreamOffset],
        count: Int? = nil,
        block: Duration? = nil,
        maxCount: Int? = nil,
        maxSize: Int? = nil
    ) {
        self.streams = streams
        self.count = count
        self.block = block
        self.maxCount = maxCount
        self.maxSize = maxSize
    }

    /// The streams.
    public var keys: [StreamKey] { streams.map(\.stream) }

    /// The time given by ``block``.
    public var blockingTime: Duration? { block }

    /// Redis 8.10 for limits over all streams, 7.4 for ``StreamOffset/lastEntry(of:)``.
    public var requirement: ServerRequirement? {
        if maxCount != nil || maxSize != nil {
            return ServerRequirement("XREAD with MAXCOUNT or MAXSIZE", redis: "8.10")
        }
        guard streams.contains(where: \.isLastEntry) else { return nil }
        return ServerRequirement("XREAD with +", redis: "7.4", valkey: "8.0")
    }

    /// Refuses an empty list of streams, invalid names, limits below 1, a ``maxCount`` below ``count``, and a blocking
    /// time below 1 ms (`BLOCK 0` waits for ever) or above a day.
    public func validate() throws(RedisError) {
        guard !streams.isEmpty else { throw invalid("Name at least one stream to read.") }
        for stream in streams { try check(stream: stream.stream) }
        try check(count: count, maxCount: maxCount, maxSize: maxSize)
        try check(block: block)
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XREAD")
        encoder.append(count: count)
        encoder.append(maxCount: maxCount, maxSize: maxSize)
        encoder.append(block: block)
        encoder.append("STREAMS")
        for stream in streams { encoder.append(stream.stream) }
        for stream in streams {
            if stream.isLastEntry { encoder.append("+") } else { encoder.append(stream.id) }
        }
    }

    /// A batch for each stream that has entries; no batches if the blocking time passed.
    public func decode(_ reply: RedisReply) throws(RedisError) -> [MessageBatch] { try batches(reply) }
}

extension RedisCommand {
    /// Checks the limits of a read.
    func check(count: Int?, maxCount: Int?, maxSize: Int?) throws(RedisError) {
        try check(count: count)
        try check("The maximum count", isPositive: maxCount)
        try check("The maximum size", isPositive: maxSize)
        if let count, let maxCount, maxCount < count {
            throw invalid("The maximum count, of all streams together, must not be below the count of each.")
        }
    }
}

extension CommandEncoder {
    mutating func append(block: Duration?) {
        guard let block else { return }
        append("BLOCK")
        append(milliseconds: block)
    }

    mutating func append(maxCount: Int?, maxSize: Int?) {
        if let maxCount {
            append("MAXCOUNT")
            append(maxCount)
        }
        if let maxSize {
            append("MAXSIZE")
            append(maxSize)
        }
    }
}
