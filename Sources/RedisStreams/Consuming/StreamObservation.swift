/// What a look at a stream has brought.
enum StreamProbe: Sendable {
    /// There is no such key.
    case missing
    /// The key holds something else.
    case replaced
    case there(StreamObservation)
}

/// What a stream looks like to somebody who wants to know whether it still goes on where it was.
struct StreamObservation: Sendable, Hashable {
    var length: Int
    /// The last id that the stream has given out.
    var lastID: StreamID
    /// The id of the first entry; `nil` if there is none.
    var firstEntryID: StreamID?
    /// The id of the last entry; `nil` if there is none.
    var lastEntryID: StreamID?
    /// How many entries were ever added. Redis 7.0.
    var entriesAdded: Int?
    /// The highest id that was ever deleted, not counting what was trimmed. Redis 7.0.
    var maxDeletedID: StreamID?
    /// How many groups the stream has.
    var groupCount = 0
    /// The ids among those asked for that have no entry.
    var absentIDs: Set<StreamID> = []
    /// Whether trimming may have taken entries that have others before them: `ACKED`, from Redis 8.2 on.
    var mayHaveHoles = false

    /// An entry that was there once is not there, although nothing was deleted or trimmed up to it.
    func lacks(_ id: StreamID) -> Bool {
        absentIDs.contains(id) && !mayHaveHoles && couldLack(id)
    }

    /// Whether it would mean something if an entry that was there once were not there.
    ///
    /// Not if the stream ends with it, and not if it may have been trimmed or deleted. Redis 6.2 does not tell what was
    /// deleted.
    func couldLack(_ id: StreamID) -> Bool {
        guard lastID > id, lastEntryID != id, let firstEntryID, let maxDeletedID else { return false }
        return firstEntryID < id && maxDeletedID < id
    }

    /// How many entries are behind a position; `nil` if that cannot be told from what is known.
    func unreadCount(behind position: StreamID) -> Int? {
        guard let firstEntryID, let lastEntryID, lastEntryID > position else { return 0 }
        return firstEntryID > position ? length : nil
    }
}

extension StreamObservation {
    init(_ info: StreamInfo) {
        self.init(
            length: info.length.plausible,
            lastID: info.lastGeneratedID,
            firstEntryID: info.firstEntry?.id,
            lastEntryID: info.lastEntry?.id,
            entriesAdded: info.details.entriesAdded?.plausible,
            maxDeletedID: info.details.maxDeletedEntryID,
            groupCount: info.groupCount
        )
    }
}

extension StreamObservation {
    /// What the script `probe` has returned; `nil` if there is no such key.
    init?(_ reply: RedisReply, to call: ScriptCall) throws(RedisError) {
        if reply.isNull { return nil }
        let values = Array(try call.elements(reply))
        guard values.count >= 7 else { throw call.unexpected(reply) }
        let added = try call.integer(values[4])
        self.init(
            length: try call.integer(values[0]).plausible,
            lastID: try call.streamID(values[1]),
            firstEntryID: values[2].streamID,
            lastEntryID: values[3].streamID,
            entriesAdded: added < 0 ? nil : added.plausible,
            maxDeletedID: values[5].streamID,
            groupCount: try call.integer(values[6]).plausible,
            absentIDs: Set(values.dropFirst(7).compactMap(\.streamID))
        )
    }
}
