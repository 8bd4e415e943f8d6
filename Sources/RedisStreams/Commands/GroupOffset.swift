/// A stream, and which of its messages a consumer of a group reads.
///
/// Source: [XREADGROUP](https://redis.io/docs/latest/commands/xreadgroup/).
public struct GroupOffset: Sendable, Hashable {
    /// The messages of a stream that a consumer reads.
    public enum Position: Sendable, Hashable {
        /// `>`: messages that no consumer of the group has received yet. They become pending for this consumer.
        case new
        /// The messages above this id that are already pending for this consumer. Never blocks.
        case pending(after: StreamID)
    }

    /// The stream.
    public var stream: StreamKey
    /// Which of its messages to read.
    public var position: Position

    /// The messages of `stream` that `position` selects. Default: new messages.
    public init(_ stream: StreamKey, _ position: Position = .new) {
        self.stream = stream
        self.position = position
    }
}
