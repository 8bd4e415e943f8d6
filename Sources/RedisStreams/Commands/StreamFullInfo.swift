/// Everything that a server reports about a stream, its groups and their consumers.
///
/// Source: [XINFO STREAM](https://redis.io/docs/latest/commands/xinfo-stream/).
public struct StreamFullInfo: Sendable {
    /// The number of entries.
    public var length: Int
    /// The highest id that was ever added.
    public var lastGeneratedID: StreamID
    /// The first entries, as many as were asked for.
    public var entries: MessageBatch
    /// The groups.
    public var groups: [Group]
    /// The values that both the short and the full form report.
    public var details: StreamDetails

    /// A group of the stream.
    public struct Group: Sendable, Hashable {
        /// The group.
        public var name: String
        /// The highest id that was delivered to any of its consumers.
        public var lastDeliveredID: StreamID
        /// How many entries the group has read; `nil` if the server is older than Redis 7.0, or does not know.
        public var entriesRead: Int?
        /// How many entries the group has yet to read; `nil` if the server is older than Redis 7.0, or does not know.
        public var lag: Int?
        /// The number of messages that are pending.
        public var pendingCount: Int
        /// How many of them were returned to the group (``XNACK``) and have no owner; `nil` if the server is older than
        /// Redis 8.8.
        public var nackedCount: Int?
        /// The first pending messages, as many as were asked for.
        public var pending: [Pending]
        /// The consumers.
        public var consumers: [Consumer]
    }

    /// A consumer of a group.
    public struct Consumer: Sendable, Hashable {
        /// The consumer.
        public var name: String
        /// When it last tried to read or claim, in milliseconds since 1970.
        public var seenTime: Int?
        /// When it last read or claimed a message, in milliseconds since 1970; `nil` if it never did, or if the server
        /// is older than Redis 7.2.
        public var activeTime: Int?
        /// The number of messages that are pending for it.
        public var pendingCount: Int
        /// The first messages that are pending for it, as many as were asked for.
        public var pending: [Pending]
    }

    /// A pending message.
    public struct Pending: Sendable, Hashable, Identifiable {
        /// The id of the entry.
        public var id: StreamID
        /// The consumer that owns it; empty if it was returned to the group (``XNACK``).
        public var consumer: String
        /// When it was last delivered, in milliseconds since 1970.
        public var deliveryTime: Int
        /// How often it was delivered. `Int.max` marks a message that was returned as impossible to handle.
        public var deliveryCount: Int
    }
}

extension StreamFullInfo {
    /// `nil` if the reply has another shape.
    init?(stream: StreamKey, reply: RedisReply) {
        guard let values = NamedValues(reply), let length = values.integer("length"),
            let lastGeneratedID = values.id("last-generated-id"), let entriesReply = values["entries"],
            let entries = MessageBatch(stream: stream, reply: entriesReply),
            let groups = values["groups"]?.mapElements(Group.init)
        else { return nil }
        self.length = length
        self.lastGeneratedID = lastGeneratedID
        self.entries = entries
        self.groups = groups
        details = StreamDetails(values)
    }
}

extension StreamFullInfo.Group {
    fileprivate init?(_ reply: RedisReply) {
        guard let values = NamedValues(reply), let name = values.string("name"),
            let lastDeliveredID = values.id("last-delivered-id"), let pendingCount = values.integer("pel-count"),
            let pending = values["pending"]?.mapElements({ StreamFullInfo.Pending($0) }),
            let consumers = values["consumers"]?.mapElements(StreamFullInfo.Consumer.init)
        else { return nil }
        self.name = name
        self.lastDeliveredID = lastDeliveredID
        entriesRead = values.integer("entries-read")
        lag = values.integer("lag")
        self.pendingCount = pendingCount
        nackedCount = values.integer("nacked-count")
        self.pending = pending
        self.consumers = consumers
    }
}

extension StreamFullInfo.Consumer {
    fileprivate init?(_ reply: RedisReply) {
        guard let values = NamedValues(reply), let name = values.string("name"),
            let pendingCount = values.integer("pel-count"),
            let pending = values["pending"]?.mapElements({ StreamFullInfo.Pending($0, of: name) })
        else { return nil }
        self.name = name
        seenTime = values.integer("seen-time")
        activeTime = values.integer("active-time").flatMap { $0 < 0 ? nil : $0 }
        self.pendingCount = pendingCount
        self.pending = pending
    }
}

extension StreamFullInfo.Pending {
    /// Reads `[id, consumer, time, count]`.
    fileprivate init?(_ reply: RedisReply) {
        guard let parts = reply.array.map(Array.init), parts.count >= 4, let id = parts[0].streamID,
            let consumer = parts[1].string, let time = parts[2].integer, let count = parts[3].integer
        else { return nil }
        self.init(id: id, consumer: consumer, deliveryTime: time, deliveryCount: count)
    }

    /// Reads `[id, time, count]`, the form in the list of a consumer.
    fileprivate init?(_ reply: RedisReply, of consumer: String) {
        guard let parts = reply.array.map(Array.init), parts.count >= 3, let id = parts[0].streamID,
            let time = parts[1].integer, let count = parts[2].integer
        else { return nil }
        self.init(id: id, consumer: consumer, deliveryTime: time, deliveryCount: count)
    }
}
