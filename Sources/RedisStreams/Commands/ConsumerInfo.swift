/// What a server reports about a consumer of a group.
///
/// Source: [XINFO CONSUMERS](https://redis.io/docs/latest/commands/xinfo-consumers/).
public struct ConsumerInfo: Sendable, Hashable {
    /// The consumer.
    public var name: String
    /// The number of messages that are pending for it.
    public var pendingCount: Int
    /// How long ago it tried to read or claim, in whole milliseconds. Before Redis 7.2: how long ago it succeeded.
    public var idle: Duration
    /// How long ago it read or claimed a message, in whole milliseconds; `nil` if it never did, or if the server is
    /// older than Redis 7.2.
    public var inactive: Duration?

    /// `nil` if the reply has another shape.
    init?(_ reply: RedisReply) {
        guard let values = NamedValues(reply), let name = values.string("name"),
            let pendingCount = values.integer("pending"), let idle = values.milliseconds("idle")
        else { return nil }
        self.name = name
        self.pendingCount = pendingCount
        self.idle = idle
        inactive = values.milliseconds("inactive")
    }
}
