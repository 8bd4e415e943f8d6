/// Messages of one stream that arrived in one reply, in the order of the reply.
///
/// They share the memory of the reply, which is freed with the last of them.
public struct MessageBatch: Sendable {
    /// The position of one message on the tape.
    struct Entry {
        let id: StreamID
        /// The token of the array `[id, fields, …]`.
        let token: Int
    }

    final class Storage: Sendable {
        let stream: StreamKey
        let tape: ReplyTape
        let entries: [Entry]

        init(stream: StreamKey, tape: ReplyTape, entries: [Entry]) {
            self.stream = stream
            self.tape = tape
            self.entries = entries
        }

        /// Whether the entry is pending although it has been deleted. The server then sends null instead of its fields.
        func isDeleted(_ entry: Entry) -> Bool { tape[entry.token + 2].kind == .null }
    }

    let storage: Storage

    /// The stream that the messages belong to.
    public var stream: StreamKey { storage.stream }

    /// Reads an array of entries. Leaves out null entries, which Redis 6.2 sends in place of deleted ones.
    ///
    /// Returns `nil` if the reply has another shape.
    init?(stream: StreamKey, reply: RedisReply) {
        let tape = reply.tape
        let token = reply.token
        if token.kind == .null {
            self.init(stream: stream, tape: tape, entries: [])
            return
        }
        guard token.kind == .array else { return nil }
        var entries: [Entry] = []
        entries.reserveCapacity(token.count)
        var cursor = reply.index + 1
        for _ in 0..<token.count {
            if tape[cursor].kind != .null {
                guard let entry = Entry(tape: tape, token: cursor) else { return nil }
                entries.append(entry)
            }
            cursor = tape.index(after: cursor)
        }
        self.init(stream: stream, tape: tape, entries: entries)
    }

    /// Reads one entry, `[id, fields]`, as a batch of one. Returns `nil` if the reply has another shape.
    init?(stream: StreamKey, entry reply: RedisReply) {
        guard let entry = Entry(tape: reply.tape, token: reply.index) else { return nil }
        self.init(stream: stream, tape: reply.tape, entries: [entry])
    }

    private init(stream: StreamKey, tape: ReplyTape, entries: [Entry]) {
        storage = Storage(stream: stream, tape: tape, entries: entries)
    }

    /// About how many bytes the messages have in the reply.
    var byteCount: Int {
        guard let first = storage.entries.first, let last = storage.entries.last else { return 0 }
        let tape = storage.tape
        // The arena holds the strings of a reply one after the other.
        return tape.bytesWritten(before: tape.index(after: last.token)) - tape.bytesWritten(before: first.token)
    }

    /// The ids of pending entries that have been deleted.
    var deletedIDs: [StreamID] {
        storage.entries.filter { storage.isDeleted($0) }.map(\.id)
    }

    /// The messages whose entries still exist.
    func leavingOutDeleted() -> MessageBatch {
        filter { !storage.isDeleted($0) }
    }

    /// The messages for which `isIncluded` returns `true`; `self` if it returns that for all.
    func filter(_ isIncluded: (Entry) -> Bool) -> MessageBatch {
        let kept = storage.entries.filter(isIncluded)
        if kept.count == storage.entries.count { return self }
        return MessageBatch(stream: stream, tape: storage.tape, entries: kept)
    }
}

extension MessageBatch.Entry {
    fileprivate init?(tape: ReplyTape, token: Int) {
        let entry = tape[token]
        guard entry.kind == .array, entry.count >= 2, tape[token + 1].kind == .bulkString else { return nil }
        guard let id = unsafe StreamID(ascii: tape.bytes(of: tape[token + 1])) else { return nil }
        let fields = tape[token + 2]
        switch fields.kind {
        case .null: break
        case .array: guard fields.count % 2 == 0 else { return nil }
        default: return nil
        }
        self.init(id: id, token: token)
    }
}

extension MessageBatch: RandomAccessCollection {
    /// The position of the first message.
    public var startIndex: Int { 0 }

    /// The number of messages.
    public var endIndex: Int { storage.entries.count }

    /// The message at `position`.
    public subscript(position: Int) -> StreamMessage {
        precondition(position >= 0 && position < storage.entries.count)
        return StreamMessage(storage: storage, position: position)
    }
}
