/// One value of a reply, as the tape stores it.
///
/// The elements of an array follow its token, each followed by its own elements: the order of the bytes on the wire.
struct ReplyToken {
    enum Kind: UInt8 {
        case bulkString, simpleString, error, integer, array, null
    }

    let kind: Kind
    /// Strings: the offset in the arena. Integers: the low half.
    let low: UInt32
    /// Strings: the length. Arrays: the number of elements. Integers: the high half.
    let high: UInt32

    var integer: Int64 { Int64(bitPattern: UInt64(high) << 32 | UInt64(low)) }
    var count: Int { Int(high) }

    /// The token after its bytes have moved toward the beginning of the arena by `bytes`.
    func moved(back bytes: Int) -> ReplyToken {
        isString ? ReplyToken(kind: kind, low: low - UInt32(bytes), high: high) : self
    }

    var isString: Bool { kind == .bulkString || kind == .simpleString || kind == .error }
}

/// One or more complete replies: a flat array of tokens, and one arena with the bytes of all their strings.
///
/// A reply of ten thousand values occupies two buffers. Views on it cost nothing until a caller asks for a `String`.
///
// SAFETY: both buffers are filled before the tape is created, never written after that, and freed by its `deinit`.
@safe final class ReplyTape: @unchecked Sendable {
    private let tokens: UnsafeMutablePointer<ReplyToken>
    private let arena: UnsafeMutablePointer<UInt8>
    let tokenCount: Int
    let byteCount: Int
    /// The passwords of the connection. If an error or a status repeats one, descriptions leave it out.
    let secrets: Secrets

    init(
        tokens: UnsafeMutablePointer<ReplyToken>,
        tokenCount: Int,
        arena: UnsafeMutablePointer<UInt8>,
        byteCount: Int,
        secrets: Secrets
    ) {
        unsafe self.tokens = tokens
        unsafe self.arena = arena
        self.tokenCount = tokenCount
        self.byteCount = byteCount
        self.secrets = secrets
    }

    deinit {
        unsafe tokens.deallocate()
        unsafe arena.deallocate()
    }

    /// A tape with only a copy of the value at `index` and all its elements.
    convenience init(copying tape: ReplyTape, at index: Int) {
        let end = tape.index(after: index)
        let start = tape.bytesWritten(before: index)
        let byteCount = tape.bytesWritten(before: end) - start
        let tokens = UnsafeMutablePointer<ReplyToken>.allocate(capacity: end - index)
        for position in index..<end {
            let token = tape[position]
            unsafe (tokens + (position - index)).initialize(to: token.moved(back: start))
        }
        let arena = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, byteCount))
        unsafe arena.update(from: tape.arena + start, count: byteCount)
        unsafe self.init(
            tokens: tokens,
            tokenCount: end - index,
            arena: arena,
            byteCount: byteCount,
            secrets: tape.secrets
        )
    }

    subscript(index: Int) -> ReplyToken {
        precondition(index >= 0 && index < tokenCount)
        return unsafe tokens[index]
    }

    /// The bytes of a string token of this tape. The buffer must not outlive the tape.
    func bytes(of token: ReplyToken) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: arena + Int(token.low), count: Int(token.high))
    }

    /// How many bytes of strings the arena holds before the value at `index`, which may be one past the end.
    func bytesWritten(before index: Int) -> Int {
        var next = index
        while next < tokenCount {
            let token = self[next]
            if token.isString { return Int(token.low) }
            next += 1
        }
        return byteCount
    }

    /// The index of the value after the one at `index`, past all its elements.
    func index(after index: Int) -> Int {
        var next = index
        var remaining = 1
        while remaining > 0 {
            let token = self[next]
            remaining -= 1
            if token.kind == .array { remaining += token.count }
            next += 1
        }
        return next
    }
}
