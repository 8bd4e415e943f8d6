/// Reads streams as a consumer of a group, and can wait for messages.
///
/// Every message that the server delivers is pending for the consumer until it is acknowledged, even if the reply is
/// lost.
///
/// Source: [XREADGROUP](https://redis.io/docs/latest/commands/xreadgroup/).
public struct XREADGROUP: RedisCommand {
    /// `XREADGROUP`.
    public static let name = "XREADGROUP"

    /// The group. Each of the streams must have it.
    public var group: String
    /// The consumer. The server creates it if it does not exist.
    public var consumer: String
    /// The streams, each with the messages to read.
    public var streams: [GroupOffset]
    /// The most messages of each stream, at least 1. Default: no limit.
    public var count: Int?
    /// How long to wait for a message if there is none, in whole milliseconds, rounded up, and above 0. Default: not at
    /// all.
    public var block: Duration?
    /// Whether new messages count as acknowledged at once (`NOACK`): if the reply is lost, they are lost for good.
    /// Default: `false`.
    public var noAck: Bool
    /// Claims messages that have been idle for this long, whichever consumer owns them, before it reads new ones
    /// (`CLAIM`). Needs Redis 8.4. Those messages have a ``StreamMessage/idleTime`` and a
    /// ``StreamMessage/deliveryCount``.
    public var claim: Duration?
    /// The most messages of all streams together, at least 1. Needs Redis 8.10. Default: no limit.
    public var maxCount: Int?
    /// About the most bytes of all messages together, at least 1. Needs Redis 8.10. Default: no limit.
    public var maxSize: Int?

    /// Reads these streams as `consumer` of `group`.
    public init(
        group: String,
        consumer: String,
        streams: [GroupOffset],
        count: Int? = nil,
        block: Duration? = nil,
        noAck: Bool = false,
        claim: Duration? = nil,
        maxCount: Int? = nil,
        maxSize: Int? = nil
    ) {
        self.group = group
        self.consumer = consumer
        self.streams = streams
        self.count = count
        self.block = block
        self.noAck = noAck
        self.claim = claim
        self.maxCount = maxCount
        self.maxSize = maxSize
    }

    /// The streams.
    public var keys: [StreamKey] { streams.map(\.stream) }

    /// The time given by ``block``.
    public var blockingTime: Duration? { block }

    /// Redis 8.10 for limits over all streams, 8.4 to claim.
    public var requirement: ServerRequirement? {
        if maxCount != nil || maxSize != nil {
            return ServerRequirement("XREADGROUP with MAXCOUNT or MAXSIZE", redis: "8.10")
        }
        return claim == nil ? nil : ServerRequirement("XREADGROUP with CLAIM", redis: "8.4")
    }

    /// Refuses an empty list of streams, invalid names, limits below 1, a ``maxCount`` below ``count``, and a blocking
    /// time below 1 ms (`BLOCK 0` waits for ever) or above a day.
    public func validate() throws(RedisError) {
        guard !streams.isEmpty else { throw invalid("Name at least one stream to read.") }
        for stream in streams { try check(stream: stream.stream) }
        try check(group: group)
        try check(consumer: consumer)
        try check(count: count, maxCount: maxCount, maxSize: maxSize)
        try check("The idle time of a claim", isNotNegative: claim)
        try check(block: block)
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XREADGROUP")
        encoder.append("GROUP")
        encoder.append(group)
        encoder.append(consumer)
        encoder.append(count: count)
        encoder.append(maxCount: maxCount, maxSize: maxSize)
        encoder.append(block: block)
        if let claim {
            encoder.append("CLAIM")
            encoder.append(milliseconds: claim)
        }
        if noAck { encoder.append("NOACK") }
        encoder.append("STREAMS")
        for stream in streams { encoder.append(stream.stream) }
        for stream in streams {
            switch stream.position {
            case .new: encoder.append(">")
            case .pending(let id): encoder.append(id)
            }
        }
    }

    /// A batch for each stream that has messages; no batches if the blocking time passed. For a stream whose pending
    /// messages are read there is always a batch, which may be empty.
    public func decode(_ reply: RedisReply) throws(RedisError) -> [MessageBatch] { try batches(reply) }
}

extension RedisReply {
    /// How many entries the first stream has in a reply to XREAD or XREADGROUP, without decoding them.
    var entryCount: Int {
        // [[key, [entry, …]], …]
        guard let stream = array?.first?.array, let entries = stream[offset: 1]?.array else { return 0 }
        return entries.count
    }
}
