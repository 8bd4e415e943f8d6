/// What a server reports about a group.
///
/// Source: [XINFO GROUPS](https://redis.io/docs/latest/commands/xinfo-groups/).
public struct GroupInfo: Sendable, Hashable {
    /// The group.
    public var name: String
    /// The number of its consumers.
    public var consumerCount: Int
    /// The number of messages that are pending.
    public var pendingCount: Int
    /// The highest id that was delivered to any of its consumers.
    public var lastDeliveredID: StreamID
    /// How many entries the group has read; `nil` if the server is older than Redis 7.0, or does not know.
    public var entriesRead: Int?
    /// How many entries the group has yet to read; `nil` if the server is older than Redis 7.0, or does not know, as
    /// after entries in the middle of the stream were deleted.
    public var lag: Int?

    /// `nil` if the reply has another shape.
    init?(_ reply: RedisReply) {
        guard let values = NamedValues(reply), let name = values.string("name"),
            let consumerCount = values.integer("consumers"), let pendingCount = values.integer("pending"),
            let lastDeliveredID = values.id("last-delivered-id")
        else { return nil }
        self.name = name
        self.consumerCount = consumerCount
        self.pendingCount = pendingCount
        self.lastDeliveredID = lastDeliveredID
        entriesRead = values.integer("entries-read")
        lag = values.integer("lag")
    }
}
