/// Tracks how far the messages of each stream have been handled, and which positions Redis does not have yet. It does
/// no I/O and reads no clock.
///
/// The loop handles the messages one after the other, in the order in which they were delivered.
struct PositionLedger: ~Copyable {
    /// A position to save.
    struct Save: Equatable {
        var stream: StreamKey
        var name: String
        var position: SavedPosition
        /// Whether the position replaces the saved one even if it is lower.
        var isMove: Bool
        /// How often the position had been moved when this was created.
        var moves = 0
    }

    fileprivate struct Entry {
        let stream: StreamKey
        let name: String
        var epoch: Int
        /// The id up to which messages were handled or skipped.
        var handled: StreamID
        /// The position that Redis has.
        var saved: StreamID?
        /// The last delivered message.
        var delivered: StreamID?
        /// Whether the position was moved and Redis does not have the new one yet.
        var isMove = false
        /// How often the position was moved.
        var moves = 0
        /// A move that waits: the position becomes `target` when the message `last`, which was delivered before the
        /// move, is handled.
        var pendingMove: (last: StreamID, target: StreamID)?
        /// Skipped entries, each after the message `last`: the position becomes `id` when that message is handled.
        var skipped: [(last: StreamID, id: StreamID)] = []

        var isDue: Bool { isMove || handled != saved }
    }

    private var entries: [Entry] = []
    private var indices: [StreamKey: Int] = [:]
    private(set) var isFinished = false
    /// How many messages were handled since the last save.
    private var count = 0

    /// The consumer starts to read a stream at a position.
    ///
    /// - Parameter isSaved: Whether Redis has the position. If not, it is due at once, so that a consumer which handles
    ///   nothing starts at the same position the next time.
    mutating func track(_ stream: StreamKey, name: String, at position: SavedPosition, isSaved: Bool) {
        var entry = Entry(stream: stream, name: name, epoch: position.epoch, handled: position.id)
        if isSaved { entry.saved = position.id }
        if let index = index(of: stream) { return entries[index] = entry }
        indices[stream] = entries.count
        entries.append(entry)
    }

    /// The messages up to this one were delivered.
    mutating func delivered(_ id: StreamID, of stream: StreamKey) {
        update(stream) { $0.delivered = id }
    }

    /// A message was handled. Returns how many were since the last save.
    mutating func handled(_ id: StreamID, of stream: StreamKey) -> Int {
        update(stream) { entry in
            if let pendingMove = entry.pendingMove {
                if id == pendingMove.last { entry.move(to: pendingMove.target) }
            } else {
                entry.handled = max(id, entry.handled)
                if !entry.skipped.isEmpty { entry.applySkipped() }
            }
        }
        count += 1
        return count
    }

    /// The consumer skips an entry, which comes after the delivered ones. Returns whether a position is due now.
    mutating func skipped(_ id: StreamID, of stream: StreamKey) -> Bool {
        var isDue = false
        update(stream) { entry in
            if entry.pendingMove != nil { return }
            entry.skipped.append((entry.delivered ?? entry.handled, id))
            entry.applySkipped()
            isDue = entry.isDue
        }
        return isDue
    }

    /// The position was moved. Messages that were delivered before the move, and are not handled yet, belong to the
    /// time before it.
    mutating func moved(to target: StreamID, in stream: StreamKey) {
        update(stream) { entry in
            let isDone = entry.pendingMove == nil && (entry.delivered.map { $0 <= entry.handled } ?? true)
            if isDone { return entry.move(to: target) }
            entry.pendingMove = (entry.delivered ?? target, target)
        }
    }

    /// The consumer stops reading a stream.
    mutating func drop(_ stream: StreamKey) {
        guard let dropped = index(of: stream), let last = entries.popLast() else { return }
        indices[stream] = nil
        guard last.stream != stream else { return }
        entries[dropped] = last
        indices[last.stream] = dropped
    }

    /// The loop handles no more messages.
    mutating func finish() { isFinished = true }

    var hasDue: Bool { entries.contains { $0.isDue } }

    /// Returns the positions to save.
    mutating func takeDue() -> [Save] {
        count = 0
        return entries.filter(\.isDue).map { entry in
            let position = SavedPosition(id: entry.handled, epoch: entry.epoch)
            return Save(
                stream: entry.stream,
                name: entry.name,
                position: position,
                isMove: entry.isMove,
                moves: entry.moves
            )
        }
    }

    /// Redis has saved a position, and answered with the current epoch.
    mutating func saved(_ save: Save, epoch: Int) {
        update(save.stream) { entry in
            entry.saved = save.position.id
            if save.isMove {
                entry.epoch = epoch
                if save.moves == entry.moves { entry.isMove = false }
            }
            // Otherwise, if another consumer has moved the position, this one stays in the old epoch until it moves as
            // well.
        }
    }

    private mutating func update(_ stream: StreamKey, _ change: (inout Entry) -> Void) {
        if let index = index(of: stream) { change(&entries[index]) }
    }

    private func index(of stream: StreamKey) -> Int? {
        // Nearly every consumer has one stream, and needs no hash.
        if entries.count == 1 { return entries[0].stream == stream ? 0 : nil }
        return indices[stream]
    }
}

extension PositionLedger.Entry {
    fileprivate mutating func move(to target: StreamID) {
        pendingMove = nil
        delivered = nil
        skipped = []
        handled = target
        isMove = true
        moves += 1
    }

    fileprivate mutating func applySkipped() {
        while let first = skipped.first, first.last <= handled {
            handled = max(handled, first.id)
            skipped.removeFirst()
        }
    }
}
