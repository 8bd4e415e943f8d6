/// A reply of the server, or one value within a reply.
///
/// A view: it shares the memory of the whole reply that it is part of, and keeps that memory alive. It builds a string
/// only when you access one.
public struct RedisReply: Sendable {
    /// The kinds of RESP2 values.
    public enum Kind: Sendable, Hashable {
        /// Binary-safe bytes.
        case bulkString
        /// A status, such as `OK`.
        case simpleString
        /// A signed 64-bit integer.
        case integer
        /// An array of replies.
        case array
        /// No value: a null bulk string or a null array.
        case null
        /// An error, such as `WRONGTYPE …`.
        case error
    }

    let tape: ReplyTape
    let index: Int

    init(tape: ReplyTape, index: Int) {
        self.tape = tape
        self.index = index
    }

    var token: ReplyToken { tape[index] }

    /// The kind of this value.
    public var kind: Kind {
        switch token.kind {
        case .bulkString: .bulkString
        case .simpleString: .simpleString
        case .integer: .integer
        case .array: .array
        case .null: .null
        case .error: .error
        }
    }

    /// Whether this is a null.
    public var isNull: Bool { token.kind == .null }

    /// The value of an integer, or of a bulk or simple string that spells one. `nil` for everything else.
    public var integer: Int? {
        let token = token
        switch token.kind {
        case .integer: return Int(token.integer)
        case .bulkString, .simpleString: return unsafe Int(ascii: tape.bytes(of: token))
        default: return nil
        }
    }

    /// The text of a bulk or simple string, where bytes that are not UTF-8 appear as U+FFFD. `nil` for everything else.
    public var string: String? {
        unsafe withUnsafeBytes { bytes in unsafe String(decoding: bytes, as: UTF8.self) }
    }

    /// The bytes of a bulk or simple string. `nil` for everything else.
    public var bytes: [UInt8]? {
        unsafe withUnsafeBytes { bytes in unsafe [UInt8](bytes) }
    }

    /// Calls `body` with the bytes of a bulk or simple string, without a copy; the buffer must not escape. `nil` for
    /// everything else.
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result? {
        let token = token
        guard token.kind == .bulkString || token.kind == .simpleString else { return nil }
        return unsafe try body(tape.bytes(of: token))
    }

    /// The elements of an array. `nil` for everything else, null arrays included.
    public var array: Elements? {
        let token = token
        return token.kind == .array ? Elements(tape: tape, first: index + 1, count: token.count) : nil
    }

    /// The error that the server sent, with a message that is fit for a log. `nil` if this is not an error.
    public var error: RedisError? { serverError(command: nil) }

    func serverError(
        command: String?,
        deniedSubject: (String) -> String? = { _ in nil }
    ) -> RedisError? {
        let token = token
        guard token.kind == .error else { return nil }
        return unsafe RedisError(
            serverText: tape.bytes(of: token),
            command: command,
            secrets: tape.secrets,
            deniedSubject: deniedSubject
        )
    }

    func isText(_ text: StaticString) -> Bool {
        unsafe withUnsafeBytes { bytes in
            text.withUTF8Buffer { unsafe bytes.elementsEqual($0) }
        } ?? false
    }
}

extension RedisReply {
    /// The elements of an array reply, in order.
    public struct Elements: Collection, Sendable {
        /// A position in the array.
        public struct Index: Comparable, Sendable {
            let ordinal: Int
            let token: Int

            /// Orders positions like the elements.
            public static func < (left: Index, right: Index) -> Bool { left.ordinal < right.ordinal }
        }

        let tape: ReplyTape
        let first: Int
        /// The number of elements.
        public let count: Int

        /// The position of the first element.
        public var startIndex: Index { Index(ordinal: 0, token: count == 0 ? -1 : first) }

        /// The position after the last element.
        public var endIndex: Index { Index(ordinal: count, token: -1) }

        /// The position after `index`.
        public func index(after index: Index) -> Index {
            let ordinal = index.ordinal + 1
            return Index(ordinal: ordinal, token: ordinal < count ? tape.index(after: index.token) : -1)
        }

        /// The element at `index`.
        public subscript(index: Index) -> RedisReply { RedisReply(tape: tape, index: index.token) }

        /// The element at `offset`, or `nil` if there is none. Walks over the elements before it.
        public subscript(offset offset: Int) -> RedisReply? {
            guard offset >= 0, offset < count else { return nil }
            return self[index(startIndex, offsetBy: offset)]
        }
    }
}

extension RedisReply: CustomStringConvertible {
    /// The kind and size of the reply. The bytes of bulk strings are left out, since they are the user's data. For a
    /// status it is the text, without control characters, and cut if it is long.
    public var description: String {
        let token = token
        switch token.kind {
        case .bulkString: return "bulkString(\(token.count) bytes)"
        case .simpleString: return unsafe RedisError.scrubbed(tape.bytes(of: token), without: tape.secrets)
        case .integer: return "\(token.integer)"
        case .array: return "array(\(token.count) elements)"
        case .null: return "null"
        case .error: return error.map { "\($0)" } ?? "error"
        }
    }
}

extension Int {
    /// The number that all of `ascii` spells, in the form that Redis writes: digits, with a leading `-` if negative.
    init?(ascii: UnsafeRawBufferPointer) {
        let isNegative = unsafe ascii.first == UInt8(ascii: "-")
        var position = isNegative ? 1 : 0
        guard let magnitude = unsafe UInt64(digitsOf: ascii, from: &position), position == ascii.count else {
            return nil
        }
        if isNegative {
            guard magnitude <= Int.min.magnitude else { return nil }
            self = magnitude == Int.min.magnitude ? Int.min : -Int(magnitude)
        } else {
            guard magnitude <= Int.max.magnitude else { return nil }
            self = Int(magnitude)
        }
    }
}

extension UInt64 {
    /// Reads decimal digits from `position` up to the first other byte, and moves `position` after them. `nil` if there
    /// is no digit, or if the number does not fit.
    init?(digitsOf bytes: UnsafeRawBufferPointer, from position: inout Int) {
        let start = position
        var value: UInt64 = 0
        while position < bytes.count {
            let digit = unsafe bytes[position] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
            guard !overflow, !carry else { return nil }
            value = sum
            position += 1
        }
        guard position > start else { return nil }
        self = value
    }
}
