internal import NIOCore

/// Which messages the consumer reclaims later, and when. Bounded: the claim scan finds messages that do not fit.
struct RetrySchedule {
    private static let capacity = 10_000

    /// In descending order of time: the last one is due first.
    private var entries: [(due: NIODeadline, id: StreamID)] = []

    /// When the next message is due.
    var next: NIODeadline? { entries.last?.due }

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

    /// Removes and returns the messages that are due, `limit` at most, in ascending order of ids.
    mutating func takeDue(now: NIODeadline, atMost limit: Int) -> [StreamID] {
        var due: [StreamID] = []
        while due.count < limit, let last = entries.last, last.due <= now {
            due.append(last.id)
            entries.removeLast()
        }
        return due.sorted()
    }
}
