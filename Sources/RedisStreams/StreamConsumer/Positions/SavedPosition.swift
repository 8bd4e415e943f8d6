/// Where a reader's position is kept in Redis, and what it is.
///
/// A hash with the fields `id`, and `epoch`, which counts how often the position was set back, or elsewhere, on purpose.
/// Within an epoch it only goes up.
struct SavedPosition: Sendable, Hashable {
    var id: StreamID
    var epoch: Int

    /// The key under which the position called `name` is kept: in the same slot as the stream, if that can be.
    ///
    /// `{orders}:position:audit` for the stream `orders`; for one whose key has a hash tag, such as `{eu}:orders`, the key
    /// with `:position:audit` behind it.
    static func key(_ name: String, of stream: StreamKey) -> StreamKey {
        StreamKey("\(stream.hasHashTag ? stream.rawValue : "{\(stream.rawValue)}"):position:\(name)")
    }
}

extension StreamKey {
    /// Whether a cluster looks only at a part of the key: what stands between the first `{` and the `}` behind it, if
    /// that is not empty.
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

/// Reads the position that is kept under a key.
struct RestorePosition: RedisCommand {
    static let name = "HMGET"

    let key: StreamKey
    var keys: [StreamKey] { [key] }

    func encode(into encoder: inout CommandEncoder) {
        for word in ["HMGET", key.rawValue, "id", "epoch"] { encoder.append(word) }
    }

    func decode(_ reply: RedisReply) throws(RedisError) -> SavedPosition? {
        let values = try elements(reply)
        guard values.count == 2, let id = values[offset: 0], let epoch = values[offset: 1] else {
            throw unexpected(reply)
        }
        if id.isNull { return nil }
        return SavedPosition(id: try streamID(id), epoch: epoch.integer ?? 0)
    }
}
