/// A stream, and the id behind which it is read.
public struct StreamOffset: Sendable, Hashable {
    /// The stream.
    public var stream: StreamKey
    /// Entries with higher ids are read, unless ``isLastEntry``.
    public var id: StreamID
    /// Whether only the last entry is read, whatever its id is (`+`).
    public var isLastEntry = false

    /// The entries of `stream` with ids above `id`. Default: all of them.
    public init(_ stream: StreamKey, after id: StreamID = .zero) {
        self.stream = stream
        self.id = id
    }

    /// The last entry of `stream` alone, whatever its id is (`+`). Needs Redis 7.4 or Valkey 8.0.
    ///
    /// Nothing is read of a stream that is empty, and by Redis before 8.2 and Valkey of one whose last entry was deleted;
    /// a read that blocks then waits for the next entry. Only for looking: reading on needs the id of what was read.
    ///
    /// Source: [XREAD](https://redis.io/docs/latest/commands/xread/).
    public static func lastEntry(of stream: StreamKey) -> StreamOffset {
        var offset = StreamOffset(stream)
        offset.isLastEntry = true
        return offset
    }
}
