/// A message that was delivered to a consumer of a group, and not acknowledged yet.
///
/// Source: [XPENDING](https://redis.io/docs/latest/commands/xpending/).
public struct PendingEntry: Sendable, Hashable, Identifiable {
    /// The id of the entry.
    public var id: StreamID
    /// The consumer that owns it; empty if it was returned to the group (``XNACK``).
    public var consumer: String
    /// How long ago it was last delivered, in whole milliseconds; `nil` if it was returned to the group (``XNACK``).
    public var idleTime: Duration?
    /// How often it was delivered. `Int.max` marks a message that was returned as impossible to handle, so check for
    /// overflow before you add to it.
    public var deliveryCount: Int

    /// A pending entry.
    public init(id: StreamID, consumer: String, idleTime: Duration?, deliveryCount: Int) {
        self.id = id
        self.consumer = consumer
        self.idleTime = idleTime
        self.deliveryCount = deliveryCount
    }
}
