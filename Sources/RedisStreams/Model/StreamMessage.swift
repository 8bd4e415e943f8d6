/// An entry of a stream: an id, and fields in the order in which they were added.
///
/// A view on the reply that contains it, two words in size. It keeps that whole reply in memory; a ``detached()`` copy
/// does not.
public struct StreamMessage: Sendable, Identifiable {
    let storage: MessageBatch.Storage
    let position: Int

    init(storage: MessageBatch.Storage, position: Int) {
        self.storage = storage
        self.position = position
    }

    private var entry: MessageBatch.Entry { storage.entries[position] }

    /// The stream that the message belongs to.
    public var stream: StreamKey { storage.stream }

    /// The id of the entry.
    public var id: StreamID { entry.id }

    /// The fields, in order. Empty if the entry has been deleted.
    public var fields: StreamFields {
        let fields = storage.tape[entry.token + 2]
        guard fields.kind == .array else { return StreamFields(tape: storage.tape, first: 0, count: 0) }
        return StreamFields(tape: storage.tape, first: entry.token + 3, count: fields.count / 2)
    }

    /// Whether the entry is pending for a consumer although it has been deleted from the stream. It has no fields then.
    public var isDeleted: Bool { storage.isDeleted(entry) }

    /// The text of the first field called `name`, or `nil` if there is none. Bytes that are not UTF-8 appear as U+FFFD.
    public subscript(name: String) -> String? { fields[name] }

    /// A copy of the message that keeps nothing else in memory.
    ///
    /// A message is a view on its reply: if you keep one message of a thousand, all of them stay in memory. Detach
    /// messages that you keep long after they were handled, such as in a cache.
    public func detached() -> StreamMessage {
        let tape = ReplyTape(copying: storage.tape, at: entry.token)
        let entry = MessageBatch.Entry(id: id, token: 0)
        return StreamMessage(storage: .init(stream: stream, tape: tape, entries: [entry]), position: 0)
    }

    /// How long the message was idle when it was claimed; `nil` unless the server reports it (`XREADGROUP … CLAIM`).
    public var idleTime: Duration? {
        extra(at: 0).map { .milliseconds($0) }
    }

    /// How often the message had been delivered; `nil` unless the server reports it (`XREADGROUP … CLAIM`).
    public var deliveryCount: Int? { extra(at: 1) }

    /// One of the values that some replies have after the fields.
    private func extra(at offset: Int) -> Int? {
        let tape = storage.tape
        guard tape[entry.token].count > 2 + offset else { return nil }
        var cursor = tape.index(after: entry.token + 2)
        for _ in 0..<offset { cursor = tape.index(after: cursor) }
        return RedisReply(tape: tape, index: cursor).integer
    }
}

extension StreamMessage: CustomStringConvertible {
    /// Stream, id and the number of fields. Their contents are left out, since they are the user's data.
    public var description: String { "\(stream) \(id) (\(isDeleted ? "deleted" : "\(fields.count) fields"))" }
}
