/// What a look at a stream has brought.
enum StreamLook: Sendable {
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
    /// Whether the entry at the position is there; `nil` if that was not asked.
    var hasEntry: Bool?
    /// Whether trimming may have taken entries that have others before them: `ACKED`, from Redis 8.2 on.
    var mayHaveHoles = false

    /// The entry at a position is not there, although nothing was deleted or trimmed up to it. For entries only that were
    /// there once.
    func lacksEntry(at position: StreamID) -> Bool {
        hasEntry == false && !mayHaveHoles && couldLackEntry(at: position)
    }

    /// Whether it would mean something if the entry at a position were not there.
    ///
    /// Not if the stream ends with it, and not if it may have been trimmed or deleted. Redis 6.2 does not tell what was
    /// deleted.
    func couldLackEntry(at position: StreamID) -> Bool {
        guard lastID > position, lastEntryID != position, let firstEntryID, let maxDeletedID else { return false }
        return firstEntryID < position && maxDeletedID < position
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
            length: info.length,
            lastID: info.lastGeneratedID,
            firstEntryID: info.firstEntry?.id,
            lastEntryID: info.lastEntry?.id,
            entriesAdded: info.details.entriesAdded,
            maxDeletedID: info.details.maxDeletedEntryID,
            groupCount: info.groupCount
        )
    }
}
