internal import NIOCore

/// Which messages are to be handled again, and when. Bounded: what does not fit is found by searching for idle messages.
struct RetrySchedule {
    private static let capacity = 10_000

    /// The last one is due first.
    private var entries: [(due: NIODeadline, id: StreamID)] = []

    /// When the next message is due.
    var next: NIODeadline? { entries.last?.due }

    var ids: some Sequence<StreamID> { entries.lazy.map(\.id) }

    /// Adds a message. Returns `false` if there is no room.
    @discardableResult
    mutating func add(_ id: StreamID, due: NIODeadline) -> Bool {
        guard entries.count < Self.capacity else { return false }
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].due > due { low = middle + 1 } else { high = middle }
        }
        entries.insert((due, id), at: low)
        return true
    }

    /// Takes out what is due by now, `limit` at most, in ascending order of ids.
    mutating func takeDue(now: NIODeadline, atMost limit: Int) -> [StreamID] {
        var taken: [StreamID] = []
        while taken.count < limit, let last = entries.last, last.due <= now {
            taken.append(last.id)
            entries.removeLast()
        }
        return taken.sorted()
    }
}
