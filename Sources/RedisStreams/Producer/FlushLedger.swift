internal import DequeModule

/// The flushes that wait for the outcomes of the messages submitted before them. No I/O; the owner guards it with a
/// lock.
///
/// It counts messages in the order in which they were submitted, which is also the order in which they are sent.
/// Batches may be settled in another order.
struct FlushLedger {
    private var sent: Deque<(count: Int, isSettled: Bool)> = []
    /// The number of the first batch in `sent`.
    private var firstBatch = 0
    /// How many messages have been sent.
    private var sentCount = 0
    /// How many of those have their outcomes, up to the first message that has none.
    private var settledCount = 0
    private var flushes: [(id: Int, target: Int)] = []
    private var lastFlush = 0

    /// Whether a flush waits for a message that has not been sent.
    var isUrgent: Bool { flushes.contains { $0.target > sentCount } }

    /// The engine sends the next `count` messages. Returns the number of their batch.
    mutating func sent(_ count: Int) -> Int {
        sent.append((count, false))
        sentCount += count
        return firstBatch + sent.count - 1
    }

    /// All messages of a batch have their outcomes.
    mutating func settled(_ batch: Int) {
        guard sent.indices.contains(batch - firstBatch) else { return }
        sent[batch - firstBatch].isSettled = true
        while let first = sent.first, first.isSettled {
            sent.removeFirst()
            firstBatch += 1
            settledCount += first.count
        }
    }

    /// A flush waits for all messages that were sent, and for the next `unsent` ones. Returns its id; `nil` if there is
    /// nothing to wait for.
    mutating func flush(unsentCount unsent: Int) -> Int? {
        let target = sentCount + unsent
        guard target > settledCount else { return nil }
        lastFlush += 1
        flushes.append((lastFlush, target))
        return lastFlush
    }

    /// A message that has not been sent was cancelled. `unsent` messages come before it.
    mutating func cancelled(unsentBefore unsent: Int) {
        for index in flushes.indices where flushes[index].target > sentCount + unsent { flushes[index].target -= 1 }
    }

    /// The engine sends no more messages, so flushes wait only for those that were sent.
    mutating func abort() {
        for index in flushes.indices { flushes[index].target = min(flushes[index].target, sentCount) }
    }

    /// Removes the flushes that have nothing left to wait for, and returns their ids.
    mutating func finished() -> [Int] {
        let ids = flushes.filter { $0.target <= settledCount }.map(\.id)
        flushes.removeAll { $0.target <= settledCount }
        return ids
    }
}
