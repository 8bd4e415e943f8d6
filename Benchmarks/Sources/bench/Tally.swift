import RedisStreams
import Synchronization

/// What was seen of the messages: enough to tell that each came exactly once. The same as in the C baseline.
struct Tally: Equatable {
    var messages = 0
    /// The bytes of all values.
    var bytes = 0
    /// The sum of the mixed numbers. A plain sum would not notice one message twice and its two neighbours missing.
    var checksum: UInt64 = 0

    init() {}

    /// What is seen when the messages 1 to `count` come once each.
    init(ofAll count: Int) {
        let rest = 40 + 62
        for number in 1...count {
            messages += 1
            bytes += "\(number)".utf8.count + rest
            checksum &+= Self.mix(UInt64(number))
        }
    }

    /// Walks every field, without building strings, as the C baseline does.
    init(_ fields: StreamFields) {
        messages = 1
        var isFirst = true
        for field in fields {
            unsafe field.withUnsafeValueBytes { value in
                bytes += value.count
                if isFirst { checksum = unsafe Self.mix(Self.number(value)) }
            }
            isFirst = false
        }
    }

    static func += (left: inout Tally, right: Tally) {
        left.messages += right.messages
        left.bytes += right.bytes
        left.checksum &+= right.checksum
    }

    private static func number(_ digits: UnsafeRawBufferPointer) -> UInt64 {
        unsafe digits.reduce(0) { $0 &* 10 &+ UInt64($1 &- UInt8(ascii: "0")) }
    }

    private static func mix(_ number: UInt64) -> UInt64 {
        let mixed = number &* 0x9E37_79B9_7F4A_7C15
        return mixed ^ (mixed >> 32)
    }
}

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

    /// To be read when nobody counts any more.
    var total: Tally {
        var total = Tally()
        total.messages = messages.load(ordering: .acquiring)
        total.bytes = bytes.load(ordering: .acquiring)
        total.checksum = checksum.load(ordering: .acquiring)
        return total
    }
}
