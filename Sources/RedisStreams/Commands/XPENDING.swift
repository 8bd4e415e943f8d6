/// Summarizes the pending messages of a group.
///
/// Source: [XPENDING](https://redis.io/docs/latest/commands/xpending/).
public struct XPENDING: RedisCommand {
    /// `XPENDING`.
    public static let name = "XPENDING"

    /// The stream.
    public var key: StreamKey
    /// The group.
    public var group: String

    /// Summarizes the pending messages of this group.
    public init(_ key: StreamKey, group: String) {
        self.key = key
        self.group = group
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Refuses invalid names.
    public func validate() throws(RedisError) {
        try check(stream: key)
        try check(group: group)
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XPENDING")
        encoder.append(key)
        encoder.append(group)
    }

    /// The summary.
    public func decode(_ reply: RedisReply) throws(RedisError) -> PendingSummary {
        let parts = Array(try elements(reply))
        guard parts.count == 4 else { throw unexpected(reply) }
        var summary = PendingSummary(count: try integer(parts[0]), lowestID: nil, highestID: nil, consumers: [])
        if !parts[1].isNull { summary.lowestID = try streamID(parts[1]) }
        if !parts[2].isNull { summary.highestID = try streamID(parts[2]) }
        if parts[3].isNull { return summary }
        for element in try elements(parts[3]) {
            // The server sends this number as a string, unlike all others.
            guard let pair = element.array, pair.count == 2, let name = pair[offset: 0]?.string,
                let count = pair[offset: 1]?.integer
            else { throw unexpected(element) }
            summary.consumers.append(PendingSummary.Consumer(name: name, count: count))
        }
        return summary
    }
}

extension XPENDING {
    /// Lists the pending messages of a group, lowest id first.
    ///
    /// Source: [XPENDING](https://redis.io/docs/latest/commands/xpending/).
    public struct Entries: RedisCommand {
        /// `XPENDING`.
        public static let name = "XPENDING"

        /// The stream.
        public var key: StreamKey
        /// The group.
        public var group: String
        /// The lower end. Default: the lowest id.
        public var lower: RangeBound
        /// The upper end. Default: the highest id.
        public var upper: RangeBound
        /// The most entries to list, at least 1.
        public var count: Int
        /// Lists only messages that were last delivered at least this long ago. Default: all.
        public var minIdle: Duration?
        /// Lists only messages that are pending for this consumer. Default: for any consumer.
        public var consumer: String?

        /// Lists the pending messages of this group.
        public init(
            _ key: StreamKey,
            group: String,
            from lower: RangeBound = .unbounded,
            to upper: RangeBound = .unbounded,
            count: Int,
            minIdle: Duration? = nil,
            consumer: String? = nil
        ) {
            self.key = key
            self.group = group
            self.lower = lower
            self.upper = upper
            self.count = count
            self.minIdle = minIdle
            self.consumer = consumer
        }

        /// The stream.
        public var keys: [StreamKey] { [key] }

        /// Refuses a count below 1, a negative time, and invalid names.
        public func validate() throws(RedisError) {
            try check(stream: key)
            try check(group: group)
            if let consumer { try check(consumer: consumer) }
            try check(count: count)
            try check("The idle time", isNotNegative: minIdle)
        }

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            encoder.append("XPENDING")
            encoder.append(key)
            encoder.append(group)
            if let minIdle {
                encoder.append("IDLE")
                encoder.append(milliseconds: minIdle)
            }
            let bounds = RangeBound.onWire(from: lower, to: upper)
            encoder.append(bounds.lower)
            encoder.append(bounds.upper)
            encoder.append(count)
            if let consumer { encoder.append(consumer) }
        }

        /// The entries.
        public func decode(_ reply: RedisReply) throws(RedisError) -> [PendingEntry] {
            var entries: [PendingEntry] = []
            let replies = try elements(reply)
            entries.reserveCapacity(replies.count)
            for element in replies {
                let parts = Array(try elements(element))
                guard parts.count >= 4 else { throw unexpected(element) }
                let idle = try integer(parts[2])
                entries.append(
                    PendingEntry(
                        id: try streamID(parts[0]),
                        consumer: try string(parts[1]),
                        idleTime: idle < 0 ? nil : .milliseconds(idle),
                        deliveryCount: try integer(parts[3])
                    )
                )
            }
            return entries
        }
    }
}
