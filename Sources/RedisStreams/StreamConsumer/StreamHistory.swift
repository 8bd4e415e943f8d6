/// What a fan-out reader knows of a stream besides its position: enough to notice that the stream does not go on where it
/// was, and that entries are gone which were never read. Free of sockets and clocks.
struct StreamHistory {
    /// What a look at the stream means.
    enum Finding: Equatable {
        case sound
        /// Entries are gone that were not read; `count` is `nil` if it is not known how many.
        case lost(count: Int?, after: StreamID, before: StreamID)
        case broken(Discontinuity.Kind)
    }

    /// Whether the stream was there.
    private var isKnown: Bool
    /// Whether the stream had come to the position. A time to begin at may lie in the future.
    private var isReached: Bool
    /// Whether there was an entry with the id of the position.
    private var isEntry: Bool
    /// The position at the last look, if there was an entry. It tells of entries that were lost while reading went on.
    private var anchor: StreamID?
    /// The lowest id that was found to be lost, if the last look has found one.
    private(set) var lostID: StreamID?
    /// What was found and reported, by a reader that stays where it is.
    private var reported: Discontinuity.Kind?

    /// How many of the entries ever added had been read, or were known to be gone, when the reader was here.
    private var accounted: (entries: Int, position: StreamID)?
    /// How many messages were read since.
    private var readCount = 0
    /// Up to which id entries are gone that nobody can count.
    private var lostUpTo = StreamID.zero

    /// What was read last.
    private(set) var seen = SeenIDs()
    /// What a reader that went back leaves out, in ascending order, as long as the stream agrees with it.
    private var leftOut: (ids: ArraySlice<StreamID>, hasBegun: Bool)?

    /// - Parameters:
    ///   - isKnown: Whether the stream was there.
    ///   - isReached: Whether the stream had come to the position.
    ///   - isEntry: Whether there was an entry with the id of the position.
    init(isKnown: Bool = false, isReached: Bool = true, isEntry: Bool = false) {
        self.isKnown = isKnown
        self.isReached = isReached
        self.isEntry = isEntry
    }

    // MARK: Reading

    /// Messages were read.
    mutating func read(_ batch: MessageBatch) {
        isKnown = true
        isReached = true
        isEntry = true
        readCount += batch.count
        seen.append(batch)
    }

    /// The next entry could not be read, and is passed over.
    mutating func passOver() {
        isKnown = true
        isReached = true
        isEntry = true
        readCount += 1
    }

    /// Whether messages are to be left out.
    var isLeavingOut: Bool { leftOut != nil }

    /// A batch without what was seen before the reader went back.
    ///
    /// Two servers that both took themselves for the master may have given the same id to different entries. So nothing is
    /// left out any more from the first entry on by which the stream differs from what was seen.
    mutating func leavingOutSeen(_ batch: MessageBatch) -> MessageBatch {
        guard var (ids, hasBegun) = leftOut else { return batch }
        let kept = batch.filter { entry in
            // What was seen first may have been trimmed since, and what stands before it may have been forgotten.
            if !hasBegun { ids = ids.drop { $0 < entry.id } }
            guard ids.first == entry.id else {
                if hasBegun { ids = [] }
                return true
            }
            hasBegun = true
            ids.removeFirst()
            return false
        }
        leftOut = ids.isEmpty ? nil : (ids, hasBegun)
        return kept
    }

    // MARK: Looking

    /// Compares what the stream looks like with what is known.
    ///
    /// For a look that was taken while nothing was on its way.
    mutating func compare(_ stream: StreamObservation?, at position: StreamID) -> Finding {
        guard let stream else { return isKnown ? found(.missing) : .sound }
        isKnown = true
        guard stream.lastID >= position else { return isReached ? found(.regressed) : .sound }
        if let accounted, let added = stream.entriesAdded, added < accounted.entries + readCount {
            // A counter that goes back is another stream's, or that of a server which has lost entries. If everything is
            // behind the position, nothing has to be read again.
            let isAhead = stream.firstEntryID.map { $0 > position } ?? true
            return found(isAhead ? .regressed : .diverged)
        }
        lostID = landmarks(at: position).filter { stream.lacks($0) }.min()
        if lostID != nil { return found(.diverged) }
        reported = nil
        if isEntry { anchor = position }
        return account(for: stream, at: position)
    }

    /// The ids of entries that should be there, unless they were deleted or trimmed.
    func landmarks(at position: StreamID) -> [StreamID] {
        guard isEntry else { return [] }
        guard let anchor, anchor != position else { return [position] }
        return [anchor, position]
    }

    private mutating func found(_ kind: Discontinuity.Kind) -> Finding {
        reported == kind ? .sound : .broken(kind)
    }

    /// Finds out whether entries are gone that were not read, whenever it is known how many are left to be read.
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
        // There was something behind the position, and there is nothing.
        guard unread == 0, stream.lastID > max(position, lostUpTo) else { return .sound }
        defer { lostUpTo = stream.lastID }
        return .lost(count: nil, after: max(position, lostUpTo), before: before)
    }

    // MARK: Moving

    /// The discontinuity was reported, and the reader stays where it is.
    mutating func stay(despite kind: Discontinuity.Kind) {
        reported = kind
        if kind == .missing { isKnown = false }
        forget()
    }

    /// The reader goes to the beginning or the end of what is another stream.
    mutating func startAnew(isKnown: Bool) {
        self = StreamHistory(isKnown: isKnown)
    }

    /// The reader goes back, and leaves out what it has seen from there up to an id.
    mutating func rewind(to position: StreamID, leavingOutUpTo limit: StreamID) {
        let ids = seen.ids(above: position, upTo: limit)
        leftOut = ids.isEmpty ? nil : (ids[...], false)
        forget()
    }

    private mutating func forget() {
        isEntry = false
        anchor = nil
        accounted = nil
        readCount = 0
    }
}
