/// The messages that one step of a claim scan through the pending messages of a group has claimed.
///
/// Source: [XAUTOCLAIM](https://redis.io/docs/latest/commands/xautoclaim/).
public struct AutoclaimResult: Sendable {
    /// Where the next step begins; ``StreamID/zero`` once the server has scanned all pending messages.
    public var next: StreamID
    /// The claimed messages.
    public var messages: MessageBatch
    /// The ids of messages whose entries have been deleted. They are no longer pending. Always empty on Redis 6.2.
    public var deletedIDs: [StreamID]
    /// How many more deleted messages the server found without reporting their ids. Redis 6.2 does that, and the
    /// messages are then pending for this consumer: list them with `xpending`, and acknowledge them.
    public var unidentifiedDeletions: Int

    /// Whether the server has scanned all pending messages.
    public var isComplete: Bool { next == .zero }
}

/// The ids of the messages that one step of a claim scan through the pending messages of a group has claimed.
///
/// Source: [XAUTOCLAIM](https://redis.io/docs/latest/commands/xautoclaim/).
public struct AutoclaimedIDs: Sendable, Hashable {
    /// Where the next step begins; ``StreamID/zero`` once the server has scanned all pending messages.
    public var next: StreamID
    /// The ids of the claimed messages.
    public var ids: [StreamID]
    /// The ids of messages whose entries have been deleted. They are no longer pending. Always empty on Redis 6.2.
    public var deletedIDs: [StreamID]

    /// Whether the server has scanned all pending messages.
    public var isComplete: Bool { next == .zero }
}
