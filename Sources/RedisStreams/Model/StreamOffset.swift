/// A stream, and the id behind which it is read.
public struct StreamOffset: Sendable, Hashable {
    /// The stream.
    public var stream: StreamKey
    /// Entries with higher ids are read.
    public var id: StreamID

    /// The entries of `stream` with ids above `id`. Default: all of them.
    public init(_ stream: StreamKey, after id: StreamID = .zero) {
        self.stream = stream
        self.id = id
    }
}
