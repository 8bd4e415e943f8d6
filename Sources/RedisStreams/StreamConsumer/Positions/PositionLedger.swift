/// How far the messages of streams have been handled, and what of that Redis has yet to be told. Free of sockets and
/// clocks.
///
/// Messages are handled one after the other, in the order in which they were delivered.
struct PositionLedger: ~Copyable {
    /// Something to be told.
    struct Save: Equatable {
        var stream: StreamKey
        var name: String
        var position: SavedPosition
        /// Whether the position is to be set in any case.
        var isMove: Bool
        /// How often the position had been set elsewhere.
        var moves = 0
    }

    fileprivate struct Entry {
        let stream: StreamKey
        let name: String
        var epoch: Int
        /// Up to where messages have been handled, or left behind.
        var handled: StreamID
        /// What Redis knows.
        var saved: StreamID?
        /// The message delivered last.
        var delivered: StreamID?
        /// Whether the position has been set elsewhere, and Redis has yet to be told.
        var isMove = false
        var moves = 0
        /// The position was set elsewhere; so it is as soon as the message `last`, delivered before, is handled.
        var ahead: (last: StreamID, target: StreamID)?
        /// Entries that were passed over, each behind the message `last`: the position is there when that is handled.
        var passedOver: [(last: StreamID, id: StreamID)] = []

        var isDue: Bool { isMove || handled != saved }
    }

    private var entries: [Entry] = []
    private var indices: [StreamKey: Int] = [:]
    private(set) var isFinished = false
    /// How many messages have been handled since the last time that Redis was told.
    private var count = 0

    /// A stream is read from a position on.
    ///
    /// - Parameter isSaved: Whether Redis has it; else it is told, so that a reader which handles nothing begins at the
    ///   same place the next time.
    mutating func begin(_ stream: StreamKey, name: String, at position: SavedPosition, isSaved: Bool) {
        var entry = Entry(stream: stream, name: name, epoch: position.epoch, handled: position.id)
        if isSaved { entry.saved = position.id }
        if let index = index(of: stream) { return entries[index] = entry }
        indices[stream] = entries.count
        entries.append(entry)
    }

    /// Messages were delivered, up to this one.
    mutating func delivered(_ id: StreamID, of stream: StreamKey) {
        update(stream) { $0.delivered = id }
    }

    /// A message has been handled. Returns how many were since Redis was told.
    mutating func handled(_ id: StreamID, of stream: StreamKey) -> Int {
        update(stream) { entry in
            if let ahead = entry.ahead {
                if id == ahead.last { entry.move(to: ahead.target) }
            } else {
                entry.handled = max(id, entry.handled)
                if !entry.passedOver.isEmpty { entry.passOver() }
            }
        }
        count += 1
        return count
    }

    /// An entry behind what was delivered is not going to be. Returns whether Redis is to be told now.
    mutating func passedOver(_ id: StreamID, of stream: StreamKey) -> Bool {
        var isDue = false
        update(stream) { entry in
            if entry.ahead != nil { return }
            entry.passedOver.append((entry.delivered ?? entry.handled, id))
            entry.passOver()
            isDue = entry.isDue
        }
        return isDue
    }

    /// The position was set elsewhere. What was delivered before, and is still to be handled, is of the time before.
    mutating func moved(to target: StreamID, in stream: StreamKey) {
        update(stream) { entry in
            let isDone = entry.ahead == nil && (entry.delivered.map { $0 <= entry.handled } ?? true)
            if isDone { return entry.move(to: target) }
            entry.ahead = (entry.delivered ?? target, target)
        }
    }

    /// The stream is read no more.
    mutating func drop(_ stream: StreamKey) {
        guard let dropped = index(of: stream), let last = entries.popLast() else { return }
        indices[stream] = nil
        guard last.stream != stream else { return }
        entries[dropped] = last
        indices[last.stream] = dropped
    }

    /// Nothing more is handled.
    mutating func finish() { isFinished = true }

    var hasDue: Bool { entries.contains { $0.isDue } }

    /// What Redis is to be told.
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

    /// Redis was told, and answered with the epoch that holds now.
    mutating func saved(_ save: Save, epoch: Int) {
        update(save.stream) { entry in
            entry.saved = save.position.id
            if save.isMove {
                entry.epoch = epoch
                if save.moves == entry.moves { entry.isMove = false }
            }
            // Else, if another reader has moved the position, this one is of the time before until it moves as well.
        }
    }

    private mutating func update(_ stream: StreamKey, _ change: (inout Entry) -> Void) {
        if let index = index(of: stream) { change(&entries[index]) }
    }

    private func index(of stream: StreamKey) -> Int? {
        // Nearly always there is one.
        if entries.count == 1 { return entries[0].stream == stream ? 0 : nil }
        return indices[stream]
    }
}

extension PositionLedger.Entry {
    fileprivate mutating func move(to target: StreamID) {
        ahead = nil
        delivered = nil
        passedOver = []
        handled = target
        isMove = true
        moves += 1
    }

    fileprivate mutating func passOver() {
        while let first = passedOver.first, first.last <= handled {
            handled = max(handled, first.id)
            passedOver.removeFirst()
        }
    }
}
