internal import DequeModule

/// Messages whose bodies the consumer fetches with one call of the script.
struct ReclaimRequest: Sendable {
    var ids: [StreamID]
    var mode: ReclaimMode
    var source: GroupMessage.Source
}

/// The messages to reclaim, in the order in which they were requested. Free of I/O.
struct ReclaimQueue {
    /// The most messages of one script: while it runs, the server serves no other client.
    static let maxIDs = 100
    /// The most ids of unreadable entries that the queue remembers.
    private static let maxUnreadable = 1000

    private var requests: Deque<ReclaimRequest> = []
    /// Entries that could not be read: each is requested alone, since the others in its reply would be lost with it.
    private var unreadable: Set<StreamID> = []

    var isEmpty: Bool { requests.isEmpty }

    mutating func add(_ ids: [StreamID], _ mode: ReclaimMode, source: GroupMessage.Source) {
        let alone = ids.filter(unreadable.contains)
        let together = alone.isEmpty ? ids : ids.filter { !unreadable.contains($0) }
        requests += alone.map { ReclaimRequest(ids: [$0], mode: mode, source: source) }
        for first in stride(from: 0, to: together.count, by: Self.maxIDs) {
            let part = Array(together[first..<min(first + Self.maxIDs, together.count)])
            requests.append(ReclaimRequest(ids: part, mode: mode, source: source))
        }
    }

    mutating func next() -> ReclaimRequest? { requests.popFirst() }

    mutating func markUnreadable(_ id: StreamID) {
        if unreadable.count < Self.maxUnreadable { unreadable.insert(id) }
    }

    /// Forgets all requests: the group was lost. Returns how many messages were requested.
    mutating func removeAll() -> Int {
        defer {
            requests = []
            unreadable = []
        }
        return requests.reduce(0) { $0 + $1.ids.count }
    }
}
