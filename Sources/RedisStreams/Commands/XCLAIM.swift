/// Takes over given pending messages for a consumer.
///
/// Source: [XCLAIM](https://redis.io/docs/latest/commands/xclaim/).
public struct XCLAIM: RedisCommand {
    /// `XCLAIM`.
    public static let name = "XCLAIM"

    /// When a claimed message counts as delivered.
    public enum Delivery: Sendable, Hashable {
        /// So long ago (`IDLE`).
        case idle(Duration)
        /// At this time, in milliseconds since 1970 (`TIME`).
        case time(milliseconds: Int)
    }

    /// The stream.
    public var key: StreamKey
    /// The group.
    public var group: String
    /// The consumer that gets the messages. It is created when it is first heard of.
    public var consumer: String
    /// Takes only messages that were delivered so long ago.
    public var minIdle: Duration
    /// The messages, at least one.
    public var ids: [StreamID]
    /// When the messages count as delivered. Default: now.
    public var delivery: Delivery?
    /// Sets the delivery count to this. Default: it goes up by 1.
    public var deliveryCount: Int?
    /// Whether entries that are not pending become so. Default: `false`.
    public var force: Bool
    /// Moves the group's last delivered id up to this. Default: it stays.
    public var lastID: StreamID?

    /// Takes these messages over.
    public init(
        _ key: StreamKey,
        group: String,
        consumer: String,
        minIdle: Duration,
        ids: [StreamID],
        delivery: Delivery? = nil,
        deliveryCount: Int? = nil,
        force: Bool = false,
        lastID: StreamID? = nil
    ) {
        self.key = key
        self.group = group
        self.consumer = consumer
        self.minIdle = minIdle
        self.ids = ids
        self.delivery = delivery
        self.deliveryCount = deliveryCount
        self.force = force
        self.lastID = lastID
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Refuses an empty list of ids, negative times and counts, and unfit names.
    public func validate() throws(RedisError) {
        try check(stream: key)
        try check(group: group)
        try check(consumer: consumer)
        try check(ids: ids)
        try check("The idle time", isNotNegative: minIdle)
        switch delivery {
        case .idle(let time): try check("The idle time", isNotNegative: time)
        case .time(let milliseconds) where milliseconds < 0:
            throw invalid("The time of delivery must not be before 1970.")
        case .time, nil: break
        }
        if let deliveryCount, deliveryCount < 0 { throw invalid("A delivery count must not be negative.") }
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XCLAIM")
        encoder.append(key)
        encoder.append(group)
        encoder.append(consumer)
        encoder.append(milliseconds: minIdle)
        encoder.append(ids)
        switch delivery {
        case .idle(let time):
            encoder.append("IDLE")
            encoder.append(milliseconds: time)
        case .time(let milliseconds):
            encoder.append("TIME")
            encoder.append(milliseconds)
        case nil: break
        }
        if let deliveryCount {
            encoder.append("RETRYCOUNT")
            encoder.append(deliveryCount)
        }
        if force { encoder.append("FORCE") }
        if let lastID {
            encoder.append("LASTID")
            encoder.append(lastID)
        }
    }

    /// The messages that were taken over. Those whose entries have been deleted are left out.
    public func decode(_ reply: RedisReply) throws(RedisError) -> MessageBatch { try batch(of: key, reply) }
}

extension XCLAIM {
    /// Takes over given pending messages and returns only their ids (`JUSTID`). Delivery counts stay.
    ///
    /// Source: [XCLAIM](https://redis.io/docs/latest/commands/xclaim/).
    public struct JUSTID: RedisCommand {
        /// `XCLAIM`.
        public static let name = "XCLAIM"

        /// What is claimed, and how.
        public var claim: XCLAIM

        /// Does what `claim` says, and returns only ids.
        public init(_ claim: XCLAIM) {
            self.claim = claim
        }

        /// The stream.
        public var keys: [StreamKey] { claim.keys }

        /// Refuses what ``XCLAIM/validate()`` refuses.
        public func validate() throws(RedisError) { try claim.validate() }

        /// Writes the command.
        public func encode(into encoder: inout CommandEncoder) {
            claim.encode(into: &encoder)
            encoder.append("JUSTID")
        }

        /// The ids of the messages that were taken over.
        public func decode(_ reply: RedisReply) throws(RedisError) -> [StreamID] { try streamIDs(reply) }
    }
}
