/// A message that was delivered to a consumer of a group, and not acknowledged.
///
/// Source: [XPENDING](https://redis.io/docs/latest/commands/xpending/).
public struct PendingEntry: Sendable, Hashable, Identifiable {
    /// The id of the entry.
    public var id: StreamID
    /// The consumer that has it; empty if it was given back (``XNACK``).
    public var consumer: String
    /// How long ago it was delivered last, in whole milliseconds; `nil` if it was given back (``XNACK``).
    public var idleTime: Duration?
    /// How often it was delivered. `Int.max` marks a message that was given back as impossible to handle, so do not add
    /// to it unchecked.
    public var deliveryCount: Int

    /// A pending entry.
    public init(id: StreamID, consumer: String, idleTime: Duration?, deliveryCount: Int) {
        self.id = id
        self.consumer = consumer
        self.idleTime = idleTime
        self.deliveryCount = deliveryCount
    }
}
