/// Loads the position that is saved under a key.
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
