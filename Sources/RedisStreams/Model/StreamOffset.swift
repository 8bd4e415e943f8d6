/// A stream, and the id after which to read it.
public struct StreamOffset: Sendable, Hashable {
    /// The stream.
    public var stream: StreamKey
    /// The server returns entries with ids above this one, unless ``isLastEntry`` is set.
    public var id: StreamID
    /// Whether the server returns only the last entry, whatever its id is (`+`).
    public var isLastEntry = false

    /// The entries of `stream` with ids above `id`. Default: all of them.
    public init(_ stream: StreamKey, after id: StreamID = .zero) {
        self.stream = stream
        self.id = id
    }

    /// Only the last entry of `stream`, whatever its id is (`+`). Needs Redis 7.4 or Valkey 8.0.
    ///
    /// The server returns nothing if the stream is empty. Redis before 8.2 and Valkey also return nothing if the last
    /// entry was deleted. A blocking read then waits for the next entry. Use it to inspect a stream: to read on, pass
    /// the id of the entry that was read.
    ///
    /// Source: [XREAD](https://redis.io/docs/latest/commands/xread/).
    public static func lastEntry(of stream: StreamKey) -> StreamOffset {
        var offset = StreamOffset(stream)
        offset.isLastEntry = true
        return offset
    }
}
