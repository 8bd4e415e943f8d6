/// The state of a stream, as far as it shows whether the stream continues from a position.
struct StreamObservation: Sendable, Hashable {
    var length: Int
    /// The last id that the stream has given out.
    var lastID: StreamID
    /// The id of the first entry; `nil` if there is none.
    var firstEntryID: StreamID?
    /// The id of the last entry; `nil` if there is none.
    var lastEntryID: StreamID?
    /// How many entries were ever added; `nil` before Redis 7.0.
    var entriesAdded: Int?
    /// The highest id that was ever deleted, not counting trimmed ones; `nil` before Redis 7.0.
    var maxDeletedID: StreamID?
    /// How many groups the stream has.
    var groupCount = 0
    /// Those of the ids in the probe that have no entry.
    var absentIDs: Set<StreamID> = []
    /// Whether trimming may have removed entries that have others before them: `ACKED`, from Redis 8.2 on.
    var mayHaveHoles = false

    /// Whether the stream lacks an entry that it had, although nothing was deleted or trimmed up to it.
    func lacks(_ id: StreamID) -> Bool {
        absentIDs.contains(id) && !mayHaveHoles && couldLack(id)
    }

    /// Whether the absence of an entry that the stream had would prove a loss.
    ///
    /// It proves nothing if the stream ends with that id, or if the entry may have been trimmed or deleted. Redis 6.2
    /// does not report deletions.
    func couldLack(_ id: StreamID) -> Bool {
        guard lastID > id, lastEntryID != id, let firstEntryID, let maxDeletedID else { return false }
        return firstEntryID < id && maxDeletedID < id
    }

    /// Returns how many entries the stream has after a position; `nil` if this observation does not tell.
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
    /// Decodes the reply of the script `probe`; `nil` if there is no such key.
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
