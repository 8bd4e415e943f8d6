/// Claims pending messages that have been idle for a given time. Each command is one step of a claim scan.
///
/// Source: [XAUTOCLAIM](https://redis.io/docs/latest/commands/xautoclaim/).
public struct XAUTOCLAIM: RedisCommand {
    /// `XAUTOCLAIM`.
    public static let name = "XAUTOCLAIM"

    /// The highest count that servers accept.
    static let maxCount = Int.max / 16

    /// The stream.
    public var key: StreamKey
    /// The group.
    public var group: String
    /// The consumer that gets the messages. The server creates it if it does not exist.
    public var consumer: String
    /// Claims only messages that were last delivered at least this long ago.
    public var minIdle: Duration
    /// Where the step begins: ``StreamID/zero``, then what the previous step returned. Default: ``StreamID/zero``.
    public var start: StreamID
    /// The maximum number of messages to claim, at least 1. The server scans ten times as many. Default: 100, which is
    /// the server's default.
    public var count: Int?

    /// Claims messages that have been idle for `minIdle`.
    public init(
        _ key: StreamKey,
        group: String,
        consumer: String,
        minIdle: Duration,
        start: StreamID = .zero,
        count: Int? = nil
    ) {
        self.key = key
        self.group = group
        self.consumer = consumer
        self.minIdle = minIdle
        self.start = start
        self.count = count
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Refuses a negative time, a count below 1 or above the servers' limit, and invalid names.
    public func validate() throws(RedisError) {
        try check(stream: key)
        try check(group: group)
        try check(consumer: consumer)
        try check("The idle time", isNotNegative: minIdle)
        try check(count: count)
        if let count, count > Self.maxCount { throw invalid("The count must be at most \(Self.maxCount).") }
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XAUTOCLAIM")
        encoder.append(key)
        encoder.append(group)
        encoder.append(consumer)
        encoder.append(milliseconds: minIdle)
        encoder.append(start)
        encoder.append(count: count)
    }

    /// The claimed messages, and where the next step begins.
    public func decode(_ reply: RedisReply) throws(RedisError) -> AutoclaimResult {
        let parts = Array(try elements(reply))
        // Redis 6.2 has no third element, and a null in the second for each deleted entry.
        guard parts.count >= 2 else { throw unexpected(reply) }
        let messages = try batch(of: key, parts[1])
        return AutoclaimResult(
            next: try streamID(parts[0]),
            messages: messages,
            deletedIDs: parts.count > 2 ? try streamIDs(parts[2]) : [],
            unidentifiedDeletions: try elements(parts[1]).count - messages.count
        )
    }
}

extension XAUTOCLAIM {
    /// Claims messages that have been idle for a given time, and returns only their ids (`JUSTID`). The server does not
    /// change their delivery counts.
    ///
    /// Source: [XAUTOCLAIM](https://redis.io/docs/latest/commands/xautoclaim/).
    public struct JUSTID: RedisCommand {
        /// `XAUTOCLAIM`.
        public static let name = "XAUTOCLAIM"

        /// The command without `JUSTID`.
        public var claim: XAUTOCLAIM

        /// Claims what `claim` claims, and returns only ids.
        public init(_ claim: XAUTOCLAIM) {
            self.claim = claim
        }

        /// The stream.
        public var keys: [StreamKey] { claim.keys }

        /// Refuses what ``XAUTOCLAIM/validate()`` refuses.
        public func validate() throws(RedisError) { try claim.validate() }

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            claim.encode(into: &encoder)
            encoder.append("JUSTID")
        }

        /// The ids of the claimed messages, and where the next step begins.
        public func decode(_ reply: RedisReply) throws(RedisError) -> AutoclaimedIDs {
            let parts = Array(try elements(reply))
            guard parts.count >= 2 else { throw unexpected(reply) }
            return AutoclaimedIDs(
                next: try streamID(parts[0]),
                ids: try streamIDs(parts[1]),
                deletedIDs: parts.count > 2 ? try streamIDs(parts[2]) : []
            )
        }
    }
}
