/// A summary of the messages that are pending for a group: delivered to a consumer, and not acknowledged yet.
///
/// Source: [XPENDING](https://redis.io/docs/latest/commands/xpending/).
public struct PendingSummary: Sendable, Hashable {
    /// How many messages are pending for one consumer.
    public struct Consumer: Sendable, Hashable {
        /// The consumer.
        public var name: String
        /// The number of messages, above 0.
        public var count: Int

        /// A consumer with its number of messages.
        public init(name: String, count: Int) {
            self.name = name
            self.count = count
        }
    }

    /// The number of pending messages.
    public var count: Int
    /// The lowest of their ids; `nil` if there are none.
    public var lowestID: StreamID?
    /// The highest of their ids; `nil` if there are none.
    public var highestID: StreamID?
    /// The consumers that have pending messages.
    public var consumers: [Consumer]

    /// A summary.
    public init(count: Int, lowestID: StreamID?, highestID: StreamID?, consumers: [Consumer]) {
        self.count = count
        self.lowestID = lowestID
        self.highestID = highestID
        self.consumers = consumers
    }
}
