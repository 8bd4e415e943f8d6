/// Parses the bytes of a client into commands, in both forms that Redis accepts: arrays of strings, and inline
/// commands.
struct RequestReader {
    enum Failure: Error {
        /// A protocol error: the server sends this text before it closes the connection.
        case mistake(String)
        /// The client speaks HTTP: the server closes the connection without a reply.
        case isHTTP
    }

    private let version: InMemoryRedis.Version
    private var buffer: Bytes = []
    /// The position of the first byte that was not parsed yet.
    private var position = 0
    /// The arguments of an incomplete array, and how many are missing.
    private var arguments: [Bytes] = []
    private var missing = 0
    /// The length of the next argument, if its header has arrived.
    private var length: Int?

    private static let longestLine = 64 << 10
    private static let longestArgument = 512 << 20

    init(_ version: InMemoryRedis.Version) {
        self.version = version
    }

    mutating func feed(_ bytes: some Sequence<UInt8>) {
        buffer.removeFirst(position)
        position = 0
        buffer.append(contentsOf: bytes)
    }

    /// Returns the next complete command; `nil` if there is none.
    mutating func next() throws(Failure) -> [Bytes]? {
        while position < buffer.count {
            if missing == 0, buffer[position] != UInt8(ascii: "*") {
                guard let line = try line("too big inline request", endingWith: 10) else { return nil }
                let words = try words(line)
                if !words.isEmpty { return words }
            } else if missing == 0 {
                guard let line = try line("too big mbulk count string") else { return nil }
                let most = version == .redis6_2 ? 1 << 20 : Int(Int32.max)
                guard let count = line.dropFirst().canonicalInteger, count <= most else {
                    throw .mistake("invalid multibulk length")
                }
                missing = max(0, count)
            } else {
                guard try readArgument() else { return nil }
                guard missing == 0 else { continue }
                defer { arguments = [] }
                return arguments
            }
        }
        return nil
    }

    /// Returns the next line. It ends with two bytes, CR and whatever follows, or with the given byte.
    private mutating func line(_ mistake: String, endingWith end: UInt8 = 13) throws(Failure) -> ArraySlice<UInt8>? {
        let rest = buffer[position...]
        guard let index = rest.firstIndex(of: end), end == 10 || index + 1 < buffer.count else {
            if rest.count > Self.longestLine { throw .mistake(mistake) }
            return nil
        }
        position = end == 10 ? index + 1 : index + 2
        return rest[..<index]
    }

    /// Reads an argument of an array, if it is complete.
    private mutating func readArgument() throws(Failure) -> Bool {
        if length == nil {
            guard let line = try line("too big bulk count string") else { return false }
            guard line.first == UInt8(ascii: "$") else {
                let first = line.first.map { String(UnicodeScalar($0)) } ?? " "
                throw .mistake("expected '$', got '\(first)'")
            }
            guard let count = line.dropFirst().canonicalInteger, (0...Self.longestArgument).contains(count) else {
                throw .mistake("invalid bulk length")
            }
            length = count
        }
        guard let length, buffer.count - position >= length + 2 else { return false }
        let end = position + length
        // Other servers skip these two bytes, whatever they are.
        if version == .valkey9_1, buffer[end] != 13 || buffer[end + 1] != 10 {
            throw .mistake("invalid CRLF in request")
        }
        arguments.append(Array(buffer[position..<end]))
        position = end + 2
        missing -= 1
        self.length = nil
        return true
    }

    // MARK: Inline commands

    /// Returns the words of a line: separated by spaces, or in quotes.
    private func words(_ line: ArraySlice<UInt8>) throws(Failure) -> [Bytes] {
        var words: [Bytes] = []
        var rest = line.last == 13 ? line.dropLast() : line
        while true {
            rest = rest.drop(while: Self.isSpace)
            if rest.isEmpty { break }
            var word: Bytes = []
            while let first = rest.first, !Self.isSpace(first) {
                if Self.isQuote(first) {
                    word += try quoted(&rest)
                } else {
                    let part = rest.prefix { !Self.isSpace($0) && !Self.isQuote($0) }
                    word += part
                    rest = rest.dropFirst(part.count)
                }
            }
            words.append(word)
        }
        if let name = words.first?.uppercase, name == Bytes("POST") || name == Bytes("HOST:") { throw .isHTTP }
        return words
    }

    /// Removes and returns a quoted part.
    private func quoted(_ rest: inout ArraySlice<UInt8>) throws(Failure) -> Bytes {
        let unbalanced = Failure.mistake("unbalanced quotes in request")
        guard let quote = rest.popFirst() else { throw unbalanced }
        var word: Bytes = []
        while let byte = rest.popFirst() {
            if byte == quote {
                let isEnded = rest.first.map(Self.isSpace) ?? true
                guard isEnded || version == .valkey9_1 else { throw unbalanced }
                return word
            }
            guard byte == UInt8(ascii: "\\"), let escaped = rest.first else {
                word.append(byte)
                continue
            }
            if quote == UInt8(ascii: "'") {
                // Single quotes know only one escape, that of the quote itself.
                if escaped == quote { rest = rest.dropFirst() }
                word.append(escaped == quote ? quote : byte)
            } else {
                rest = rest.dropFirst()
                word.append(Self.unescaped(escaped, &rest))
            }
        }
        throw unbalanced
    }

    /// Returns the byte that an escape in double quotes stands for.
    private static func unescaped(_ escaped: UInt8, _ rest: inout ArraySlice<UInt8>) -> UInt8 {
        switch escaped {
        case UInt8(ascii: "n"): return 10
        case UInt8(ascii: "r"): return 13
        case UInt8(ascii: "t"): return 9
        case UInt8(ascii: "b"): return 8
        case UInt8(ascii: "a"): return 7
        case UInt8(ascii: "x"):
            let digits = rest.prefix(2).compactMap(hexDigit)
            guard digits.count == 2 else { return escaped }
            rest = rest.dropFirst(2)
            return digits[0] << 4 | digits[1]
        default: return escaped
        }
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static func isQuote(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
}
