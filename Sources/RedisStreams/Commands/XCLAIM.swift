/// Claims given pending messages for a consumer.
///
/// Source: [XCLAIM](https://redis.io/docs/latest/commands/xclaim/).
public struct XCLAIM: RedisCommand {
    /// `XCLAIM`.
    public static let name = "XCLAIM"

    /// The time at which a claimed message counts as last delivered.
    public enum Delivery: Sendable, Hashable {
        /// This long ago (`IDLE`).
        case idle(Duration)
        /// At this time, in milliseconds since 1970 (`TIME`).
        case time(milliseconds: Int)
    }

    /// The stream.
    public var key: StreamKey
    /// The group.
    public var group: String
    /// The consumer that gets the messages. The server creates it if it does not exist.
    public var consumer: String
    /// Claims only messages that were last delivered at least this long ago.
    public var minIdle: Duration
    /// The messages, at least one.
    public var ids: [StreamID]
    /// When the messages count as last delivered. Default: now.
    public var delivery: Delivery?
    /// Sets the delivery count to this value. Default: the server increases it by 1.
    public var deliveryCount: Int?
    /// Whether entries that are not pending become pending. Default: `false`.
    public var force: Bool
    /// Moves the group's last delivered id up to this id. Default: unchanged.
    public var lastID: StreamID?

    /// Claims these messages.
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

    /// Refuses an empty list of ids, negative times and counts, and invalid names.
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

    /// The claimed messages, without those whose entries have been deleted.
    public func decode(_ reply: RedisReply) throws(RedisError) -> MessageBatch { try batch(of: key, reply) }
}

extension XCLAIM {
    /// Claims given pending messages and returns only their ids (`JUSTID`). The server does not change their delivery
    /// counts.
    ///
    /// Source: [XCLAIM](https://redis.io/docs/latest/commands/xclaim/).
    public struct JUSTID: RedisCommand {
        /// `XCLAIM`.
        public static let name = "XCLAIM"

        /// The command without `JUSTID`.
        public var claim: XCLAIM

        /// Claims what `claim` claims, and returns only ids.
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

        /// The ids of the claimed messages.
        public func decode(_ reply: RedisReply) throws(RedisError) -> [StreamID] { try streamIDs(reply) }
    }
}
