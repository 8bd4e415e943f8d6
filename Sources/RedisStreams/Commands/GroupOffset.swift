/// A stream, and what of it a consumer of a group reads.
///
/// Source: [XREADGROUP](https://redis.io/docs/latest/commands/xreadgroup/).
public struct GroupOffset: Sendable, Hashable {
    /// What a consumer reads of a stream.
    public enum Position: Sendable, Hashable {
        /// `>`: messages that no consumer of the group was given yet. They become pending for this one.
        case new
        /// The messages above this id that are pending for this consumer already. Never blocks.
        case pending(after: StreamID)
    }

    /// The stream.
    public var stream: StreamKey
    /// What of it.
    public var position: Position

    /// What `position` says, of `stream`. Default: new messages.
    public init(_ stream: StreamKey, _ position: Position = .new) {
        self.stream = stream
        self.position = position
    }
}
