/// What one step through the pending messages of a group took over.
///
/// Source: [XAUTOCLAIM](https://redis.io/docs/latest/commands/xautoclaim/).
public struct AutoclaimResult: Sendable {
    /// Where the next step begins; ``StreamID/zero`` once all pending messages have been looked at.
    public var next: StreamID
    /// The messages that were taken over.
    public var messages: MessageBatch
    /// The messages whose entries have been deleted. They are no longer pending. Always empty on Redis 6.2.
    public var deletedIDs: [StreamID]
    /// How many more messages were found deleted without the server telling their ids, as Redis 6.2 does: they are now
    /// pending for this consumer. List them with `xpending`, and acknowledge them.
    public var unidentifiedDeletions: Int

    /// Whether all pending messages have been looked at.
    public var isComplete: Bool { next == .zero }
}

/// The ids of what one step through the pending messages of a group took over.
///
/// Source: [XAUTOCLAIM](https://redis.io/docs/latest/commands/xautoclaim/).
public struct AutoclaimedIDs: Sendable, Hashable {
    /// Where the next step begins; ``StreamID/zero`` once all pending messages have been looked at.
    public var next: StreamID
    /// The messages that were taken over.
    public var ids: [StreamID]
    /// The messages whose entries have been deleted. They are no longer pending. Always empty on Redis 6.2.
    public var deletedIDs: [StreamID]

    /// Whether all pending messages have been looked at.
    public var isComplete: Bool { next == .zero }
}
