internal import RedisStreams

/// A Redis string: any bytes.
package typealias Bytes = [UInt8]

extension [UInt8] {
    mutating func append(decimal value: Int) {
        if value < 0 { append(UInt8(ascii: "-")) }
        append(decimal: UInt64(value.magnitude))
    }

    mutating func append(decimal value: UInt64) {
        if value < 10 { return append(UInt8(ascii: "0") + UInt8(value)) }
        let start = count
        var rest = value
        append(contentsOf: repeatElement(0, count: value.digitCount))
        var position = count
        while position > start {
            position -= 1
            self[position] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
    }

    mutating func append(id: StreamID) {
        append(decimal: id.milliseconds)
        append(UInt8(ascii: "-"))
        append(decimal: id.sequence)
    }

    init(_ id: StreamID) {
        self = []
        append(id: id)
    }

    init(_ text: String) {
        self.init(text.utf8)
    }

    /// The text, for messages. Bytes that are not UTF-8 appear as U+FFFD.
    var text: String { String(decoding: self, as: UTF8.self) }

    /// Whether this equals `word`, which is in upper case, regardless of case here.
    func isWord(_ word: String) -> Bool {
        guard count == word.utf8.count else { return false }
        for (byte, other) in zip(self, word.utf8) where byte.uppercase != other { return false }
        return true
    }

    /// The same string with its ASCII letters in upper case.
    var uppercase: Bytes {
        contains { $0 != $0.uppercase } ? map(\.uppercase) : self
    }

    /// Orders strings as Redis's radix trees do: by the first byte that differs, and a prefix before the longer string.
    static func precedes(_ left: Bytes, _ right: Bytes) -> Bool {
        left.lexicographicallyPrecedes(right)
    }
}

extension Collection<UInt8> {
    /// The integer that this represents, if it has the form in which Redis writes integers.
    var canonicalInteger: Int? {
        guard let first, count <= 20 else { return nil }
        if first == UInt8(ascii: "0") { return count == 1 ? 0 : nil }
        let isNegative = first == UInt8(ascii: "-")
        let digits = dropFirst(isNegative ? 1 : 0)
        guard digits.first != UInt8(ascii: "0"), let magnitude = digits.unsignedValue else { return nil }
        if isNegative {
            return magnitude <= Int.min.magnitude ? Int(truncatingIfNeeded: 0 &- magnitude) : nil
        }
        return Int(exactly: magnitude)
    }

    /// The number that Redis reads in an id: an integer in its usual form, or otherwise what `strtoull` reads. That
    /// skips spaces, accepts signs, and wraps around below zero.
    var idPart: UInt64? {
        if let value = unsignedValue { return value }
        // `string2ll` reads a negative integer in its usual form, and the id is refused.
        if let canonicalInteger, canonicalInteger < 0 { return nil }
        let digits = drop { $0 == 32 || (9...13).contains($0) }
        switch digits.first {
        case UInt8(ascii: "+"): return digits.dropFirst().unsignedValue
        case UInt8(ascii: "-"): return digits.dropFirst().unsignedValue.map { 0 &- $0 }
        default: return digits.unsignedValue
        }
    }

    /// The number that the digits represent; `nil` for anything else, or if the number does not fit.
    var unsignedValue: UInt64? {
        guard !isEmpty else { return nil }
        var value: UInt64 = 0
        for byte in self {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
            guard !overflow, !carry else { return nil }
            value = sum
        }
        return value
    }
}

extension UInt8 {
    fileprivate var uppercase: UInt8 {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) ? self - 32 : self
    }
}

extension UInt64 {
    var digitCount: Int {
        var count = 1
        var rest = self
        while rest >= 10 {
            rest /= 10
            count += 1
        }
        return count
    }
}
