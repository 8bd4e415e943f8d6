package import RedisStreams

/// A summary of the messages that came, which shows whether each came exactly once. The C baseline computes the same.
package struct Tally: Equatable, Sendable {
    package var messages = 0
    /// The bytes of all values.
    package var bytes = 0
    /// The sum of the mixed numbers. A plain sum would not notice a message that came in place of its two neighbours.
    package var checksum: UInt64 = 0

    package init() {}

    /// The tally of these messages if each comes once.
    package init(of numbers: ClosedRange<Int>, payload: Int) {
        for number in numbers {
            messages += 1
            bytes += "\(number)".utf8.count + Entry.itemSize + payload
            checksum &+= Self.mix(UInt64(number))
        }
    }

    /// Reads every field, without building strings, as the C baseline does.
    package init(_ fields: StreamFields) {
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

    package static func += (left: inout Tally, right: Tally) {
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
