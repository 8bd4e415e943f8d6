import Synchronization

/// A tally that many tasks count into.
final class SharedTally: Sendable {
    private let messages = Atomic(0)
    private let bytes = Atomic(0)
    private let checksum = Atomic<UInt64>(0)

    /// Returns how many messages there are now.
    func add(_ tally: Tally) -> Int {
        bytes.add(tally.bytes, ordering: .relaxed)
        checksum.wrappingAdd(tally.checksum, ordering: .relaxed)
        return messages.add(tally.messages, ordering: .acquiringAndReleasing).newValue
    }

    /// To be read once no task adds any more.
    var total: Tally {
        var total = Tally()
        total.messages = messages.load(ordering: .acquiring)
        total.bytes = bytes.load(ordering: .acquiring)
        total.checksum = checksum.load(ordering: .acquiring)
        return total
    }
}

/// A number that many tasks raise.
final class SharedCount: Sendable {
    private let count = Atomic(0)

    var value: Int { count.load(ordering: .relaxed) }

    /// Returns the new number.
    @discardableResult
    func increase() -> Int { count.add(1, ordering: .relaxed).newValue }
}

/// Numbers that many tasks collect.
final class SharedList: Sendable {
    private let list = Mutex<[Int]>([])

    var values: [Int] { list.withLock { $0 } }

    func append(_ value: Int) { list.withLock { $0.append(value) } }
}
