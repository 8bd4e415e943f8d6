internal import DequeModule

/// Who waits until the messages that were submitted before have their outcomes. Free of I/O; guarded by its owner.
///
/// Messages are counted in the order in which they were submitted, which is the one in which they are sent. Batches may
/// come to their end in another order.
struct FlushLedger {
    private var sent: Deque<(count: Int, isSettled: Bool)> = []
    /// The number of the first batch in `sent`.
    private var firstBatch = 0
    /// How many messages have been sent.
    private var sentCount = 0
    /// How many of those have their outcomes, up to the first that has none.
    private var settledCount = 0
    private var flushes: [(id: Int, target: Int)] = []
    private var lastFlush = 0

    /// Whether somebody waits for a message that has not been sent.
    var isUrgent: Bool { flushes.contains { $0.target > sentCount } }

    /// The next messages are sent. Returns the number of the batch.
    mutating func sent(_ count: Int) -> Int {
        sent.append((count, false))
        sentCount += count
        return firstBatch + sent.count - 1
    }

    /// The messages of a batch have their outcomes.
    mutating func settled(_ batch: Int) {
        guard sent.indices.contains(batch - firstBatch) else { return }
        sent[batch - firstBatch].isSettled = true
        while let first = sent.first, first.isSettled {
            sent.removeFirst()
            firstBatch += 1
            settledCount += first.count
        }
    }

    /// Somebody waits for what was sent, and for as many messages more. Returns a number for it; `nil` if there is
    /// nothing to wait for.
    mutating func flush(behind unsent: Int) -> Int? {
        let target = sentCount + unsent
        guard target > settledCount else { return nil }
        lastFlush += 1
        flushes.append((lastFlush, target))
        return lastFlush
    }

    /// A message that has not been sent will not be; as many are to be sent before it.
    mutating func withdrawn(behind unsent: Int) {
        for index in flushes.indices where flushes[index].target > sentCount + unsent { flushes[index].target -= 1 }
    }

    /// Nothing more will be sent.
    mutating func abort() {
        for index in flushes.indices { flushes[index].target = min(flushes[index].target, sentCount) }
    }

    /// Those who have waited long enough.
    mutating func finished() -> [Int] {
        let ids = flushes.filter { $0.target <= settledCount }.map(\.id)
        flushes.removeAll { $0.target <= settledCount }
        return ids
    }
}
