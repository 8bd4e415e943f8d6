/// What a stream consumer knows about a stream besides its position. It is enough to notice that the stream no longer
/// continues from the position, and that entries are gone which the consumer never read. It does no I/O and reads no
/// clock.
struct StreamHistory {
    /// What a probe of the stream shows.
    enum Finding: Equatable {
        /// The stream continues from the position.
        case sound
        /// Entries are gone that the consumer did not read; `count` is `nil` if their number is unknown.
        case lost(count: Int?, after: StreamID, before: StreamID)
        /// The stream does not continue from the position.
        case broken(Discontinuity.Kind)
    }

    /// Whether the stream has existed.
    private var isKnown: Bool
    /// Whether the stream's last id has reached the position. A start at a time may lie in the future.
    private var isReached: Bool
    /// Whether an entry with the id of the position has existed.
    private var isEntry: Bool
    /// The position at the last probe, if an entry had that id. The next probe checks it too, and so shows entries that
    /// a server lost while the consumer read on.
    private var anchor: StreamID?
    /// The lowest lost id that the last probe has found, if any.
    private(set) var lostID: StreamID?
    /// The discontinuity that was reported last, while the consumer keeps its position despite it.
    private var reported: Discontinuity.Kind?

    /// How many of the stream's entries ever added were read, or known to be gone, when the consumer was at `position`.
    private var accounted: (entries: Int, position: StreamID)?
    /// How many messages were read since then.
    private var readCount = 0
    /// The id up to which a loss of unknown count was reported.
    private var lostUpTo = StreamID.zero

    /// The ids of the most recently read messages.
    private(set) var seen = SeenIDs()
    /// After the position went back: the ids of messages to filter out, in ascending order, as long as the stream
    /// agrees with them.
    private var filtered: (ids: ArraySlice<StreamID>, hasBegun: Bool)?

    /// - Parameters:
    ///   - isKnown: Whether the stream has existed.
    ///   - isReached: Whether the stream's last id has reached the position.
    ///   - isEntry: Whether an entry with the id of the position has existed.
    init(isKnown: Bool = false, isReached: Bool = true, isEntry: Bool = false) {
        self.isKnown = isKnown
        self.isReached = isReached
        self.isEntry = isEntry
    }

    // MARK: Reading

    /// The consumer read a batch.
    mutating func read(_ batch: MessageBatch) {
        isKnown = true
        isReached = true
        isEntry = true
        readCount += batch.count
        seen.append(batch)
    }

    /// The consumer skips the next entry, which it could not read.
    mutating func skipEntry() {
        isKnown = true
        isReached = true
        isEntry = true
        readCount += 1
    }

    /// Whether messages are filtered out.
    var isFilteringSeen: Bool { filtered != nil }

    /// Returns a batch without the messages that were read before the position went back.
    ///
    /// Two servers that were both master for a while may have given the same id to different entries. So from the first
    /// entry on by which the stream differs from what was read, the filter ends.
    mutating func filteringSeen(_ batch: MessageBatch) -> MessageBatch {
        guard var (ids, hasBegun) = filtered else { return batch }
        let kept = batch.filter { entry in
            // The first ids may have been trimmed since, and the ids before them may have been forgotten here.
            if !hasBegun { ids = ids.drop { $0 < entry.id } }
            guard ids.first == entry.id else {
                if hasBegun { ids = [] }
                return true
            }
            hasBegun = true
            ids.removeFirst()
            return false
        }
        filtered = ids.isEmpty ? nil : (ids, hasBegun)
        return kept
    }

    // MARK: Probing

    /// Compares a probe of the stream with this history.
    ///
    /// The probe must have run while no read was in flight.
    mutating func compare(_ stream: StreamObservation?, at position: StreamID) -> Finding {
        guard let stream else { return isKnown ? found(.missing) : .sound }
        isKnown = true
        guard stream.lastID >= position else { return isReached ? found(.regressed) : .sound }
        if let accounted, let added = stream.entriesAdded, added < accounted.entries + readCount {
            // A counter of added entries that goes down belongs to another stream, or to a server that has lost
            // entries. If all entries are after the position, the consumer can start at the beginning without reading
            // any entry twice.
            let isAhead = stream.firstEntryID.map { $0 > position } ?? true
            return found(isAhead ? .regressed : .diverged)
        }
        lostID = landmarks(at: position).filter { stream.lacks($0) }.min()
        if lostID != nil { return found(.diverged) }
        reported = nil
        if isEntry { anchor = position }
        return account(for: stream, at: position)
    }

    /// The ids of entries that the stream should still have, unless they were deleted or trimmed.
    func landmarks(at position: StreamID) -> [StreamID] {
        guard isEntry else { return [] }
        guard let anchor, anchor != position else { return [position] }
        return [anchor, position]
    }

    private mutating func found(_ kind: Discontinuity.Kind) -> Finding {
        reported == kind ? .sound : .broken(kind)
    }

    /// Finds entries that are gone and were not read, whenever the probe tells how many entries are unread.
    private mutating func account(for stream: StreamObservation, at position: StreamID) -> Finding {
        guard isReached, let unread = stream.unreadCount(behind: position) else { return .sound }
        let before = unread > 0 ? stream.firstEntryID ?? stream.lastID : stream.lastID.next ?? .max
        let known = accounted
        if let added = stream.entriesAdded {
            accounted = (added - unread, position)
            let read = readCount
            readCount = 0
            if let known {
                let lost = added - unread - known.entries - read
                return lost > 0 ? .lost(count: lost, after: known.position, before: before) : .sound
            }
        }
        // The stream has given out ids after the position, and has no entry there.
        guard unread == 0, stream.lastID > max(position, lostUpTo) else { return .sound }
        defer { lostUpTo = stream.lastID }
        return .lost(count: nil, after: max(position, lostUpTo), before: before)
    }

    // MARK: Changing the position

    /// The consumer keeps its position after it reported a discontinuity.
    mutating func stay(despite kind: Discontinuity.Kind) {
        reported = kind
        if kind == .missing { isKnown = false }
        forget()
    }

    /// The consumer goes to the beginning or the end of a stream that it takes for a new one.
    mutating func reset(isKnown: Bool) {
        self = StreamHistory(isKnown: isKnown)
    }

    /// The consumer goes back to `position`, and filters out the messages that it has read from there up to `limit`.
    mutating func rewind(to position: StreamID, filteringUpTo limit: StreamID) {
        let ids = seen.ids(above: position, upTo: limit)
        filtered = ids.isEmpty ? nil : (ids[...], false)
        forget()
    }

    private mutating func forget() {
        isEntry = false
        anchor = nil
        accounted = nil
        readCount = 0
    }
}
