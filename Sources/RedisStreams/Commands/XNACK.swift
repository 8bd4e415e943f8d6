/// Returns pending messages to the group without an owner, so that any consumer can claim them at once.
///
/// Source: [XNACK](https://redis.io/docs/latest/commands/xnack/).
public struct XNACK: RedisCommand {
    /// `XNACK`.
    public static let name = "XNACK"

    /// The reason for returning messages. It determines how the server changes their delivery counts.
    public enum Mode: Sendable, Hashable {
        /// `SILENT`: the delivery does not count, such as on a shutdown. The server decreases the count by 1.
        case silent
        /// `FAIL`: handling failed, and may succeed elsewhere. The server does not change the count.
        case fail
        /// `FATAL`: handling can never succeed. The server sets the count to `Int.max`.
        case fatal
    }

    /// The stream.
    public var key: StreamKey
    /// The group.
    public var group: String
    /// The reason for returning the messages.
    public var mode: Mode
    /// The messages, at least one.
    public var ids: [StreamID]
    /// Sets the delivery count to this value, whatever the mode. Default: the mode determines it.
    public var deliveryCount: Int?
    /// Whether entries that are not pending become pending, without an owner. Default: `false`.
    public var force: Bool

    /// Returns these messages to the group.
    public init(
        _ key: StreamKey,
        group: String,
        _ mode: Mode,
        ids: [StreamID],
        deliveryCount: Int? = nil,
        force: Bool = false
    ) {
        self.key = key
        self.group = group
        self.mode = mode
        self.ids = ids
        self.deliveryCount = deliveryCount
        self.force = force
    }

    /// The stream.
    public var keys: [StreamKey] { [key] }

    /// Redis 8.8.
    public var requirement: ServerRequirement? { ServerRequirement("XNACK", redis: "8.8") }

    /// Refuses an empty list of ids, a negative delivery count, and invalid names.
    public func validate() throws(RedisError) {
        try check(stream: key)
        try check(group: group)
        try check(ids: ids)
        if let deliveryCount, deliveryCount < 0 { throw invalid("A delivery count must not be negative.") }
    }

    /// Writes the command.
    public func encode(into encoder: inout CommandEncoder) {
        encoder.append("XNACK")
        encoder.append(key)
        encoder.append(group)
        switch mode {
        case .silent: encoder.append("SILENT")
        case .fail: encoder.append("FAIL")
        case .fatal: encoder.append("FATAL")
        }
        encoder.append(countedIDs: ids)
        if let deliveryCount {
            encoder.append("RETRYCOUNT")
            encoder.append(deliveryCount)
        }
        if force { encoder.append("FORCE") }
    }

    /// How many messages were returned.
    public func decode(_ reply: RedisReply) throws(RedisError) -> Int { try integer(reply) }
}
