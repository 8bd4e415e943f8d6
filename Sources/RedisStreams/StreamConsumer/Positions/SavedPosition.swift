/// A position that a consumer has saved in Redis.
///
/// Redis holds it as a hash with the fields `id` and `epoch`. The epoch counts how often a consumer moved the position
/// on purpose, back or elsewhere. Within an epoch, the id only goes up.
struct SavedPosition: Sendable, Hashable {
    var id: StreamID
    var epoch: Int

    /// Returns the key of the position called `name`. It is in the same slot as the stream where that is possible.
    ///
    /// That is `{orders}:position:audit` for the stream `orders`. For a stream whose key has a hash tag, such as
    /// `{eu}:orders`, it is that key followed by `:position:audit`.
    static func key(_ name: String, of stream: StreamKey) -> StreamKey {
        StreamKey("\(stream.hasHashTag ? stream.rawValue : "{\(stream.rawValue)}"):position:\(name)")
    }
}

extension StreamKey {
    /// Whether a cluster hashes only a part of the key: the part between the first `{` and the next `}`, if that is not
    /// empty.
    ///
    /// Source: [Hash tags](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags).
    fileprivate var hasHashTag: Bool {
        let bytes = rawValue.utf8
        guard let open = bytes.firstIndex(of: UInt8(ascii: "{")) else { return false }
        let rest = bytes[bytes.index(after: open)...]
        guard let close = rest.firstIndex(of: UInt8(ascii: "}")) else { return false }
        return close > rest.startIndex
    }
}
