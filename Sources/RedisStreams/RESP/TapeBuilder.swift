internal import CHiredis

/// The tape that is being written. It has a fixed address, since hiredis's callbacks access it through a pointer.
@safe struct TapeBuilder {
    /// The reason for which a callback refused a value.
    enum Refusal {
        case tooManyElements(Int), tooDeep, replyTooLarge, lineTooLong, unterminatedBulkString, notRESP2
    }

    let limits: RESPLimits
    /// The passwords of the connection; see `ReplyTape.secrets`.
    var secrets: Secrets
    private(set) var refusal: Refusal?
    private(set) var tokenCount = 0
    private(set) var byteCount = 0
    private var tokens: UnsafeMutablePointer<ReplyToken>
    private var tokenCapacity: Int
    private var arena: UnsafeMutablePointer<UInt8>
    private var arenaCapacity: Int
    /// Where the reply that is being parsed begins. Everything before belongs to complete replies.
    private var replyToken = 0
    private var replyByte = 0

    private static let initialTokens = 64
    private static let initialBytes = 1024
    /// The most memory that `seal()` allocates in advance for the next reply.
    private static let maxForeseenTokens = 64 << 10
    private static let maxForeseenBytes = 512 << 10

    init(limits: RESPLimits, secrets: Secrets = .none) {
        self.limits = limits
        self.secrets = secrets
        tokenCapacity = Self.initialTokens
        arenaCapacity = Self.initialBytes
        unsafe tokens = .allocate(capacity: tokenCapacity)
        unsafe arena = .allocate(capacity: arenaCapacity)
    }

    func deallocate() {
        unsafe tokens.deallocate()
        unsafe arena.deallocate()
    }

    /// The bytes of memory that the reply that is being parsed occupies so far.
    var replySize: Int {
        (byteCount - replyByte) + (tokenCount - replyToken) * MemoryLayout<ReplyToken>.stride
    }

    /// The maximum number of bytes of the next value.
    var room: Int { limits.maxReplyBytes - replySize - MemoryLayout<ReplyToken>.stride }

    /// Ends the reply that is being parsed; returns the index of its first token.
    mutating func endReply() -> Int {
        defer {
            replyToken = tokenCount
            replyByte = byteCount
        }
        return replyToken
    }

    /// Returns a tape with the complete replies, and continues with the part of the next reply that has arrived.
    mutating func seal() -> ReplyTape {
        let tape = unsafe ReplyTape(
            tokens: tokens,
            tokenCount: replyToken,
            arena: arena,
            byteCount: replyByte,
            secrets: secrets
        )
        let partialTokens = tokenCount - replyToken
        let partialBytes = byteCount - replyByte
        let oldTokens = unsafe tokens
        let oldArena = unsafe arena
        // The next reply is probably as large as these. Buffers that grow to that size again would copy most of it.
        tokenCapacity = max(Self.initialTokens, partialTokens, min(replyToken, Self.maxForeseenTokens))
        arenaCapacity = max(Self.initialBytes, partialBytes, min(replyByte, Self.maxForeseenBytes))
        unsafe tokens = .allocate(capacity: tokenCapacity)
        unsafe arena = .allocate(capacity: arenaCapacity)
        unsafe arena.update(from: oldArena + replyByte, count: partialBytes)
        for index in 0..<partialTokens {
            let token = unsafe oldTokens[replyToken + index]
            unsafe tokens[index] = token.moved(back: replyByte)
        }
        tokenCount = partialTokens
        byteCount = partialBytes
        replyToken = 0
        replyByte = 0
        return tape
    }

    // MARK: What hiredis reports

    mutating func appendString(type: Int32, bytes: UnsafePointer<CChar>, count: Int) -> Bool {
        let kind: ReplyToken.Kind
        switch type {
        case REDIS_REPLY_STRING: kind = .bulkString
        case REDIS_REPLY_STATUS: kind = .simpleString
        case REDIS_REPLY_ERROR: kind = .error
        case 0: return refuse(.unterminatedBulkString)
        default: return refuse(.notRESP2)
        }
        if kind != .bulkString && count > limits.maxLineBytes { return refuse(.lineTooLong) }
        guard count <= room else { return refuse(.replyTooLarge) }
        if byteCount + count > arenaCapacity { growArena(toHold: byteCount + count) }
        unsafe UnsafeMutableRawPointer(arena + byteCount).copyMemory(from: bytes, byteCount: count)
        let token = ReplyToken(kind: kind, low: UInt32(byteCount), high: UInt32(count))
        byteCount += count
        return append(token)
    }

    mutating func appendArray(count: Int64, depth: Int) -> Bool {
        guard count >= 0 else { return refuse(.notRESP2) }
        guard count <= limits.maxArrayElements else { return refuse(.tooManyElements(Int(count))) }
        guard depth < limits.maxDepth else { return refuse(.tooDeep) }
        // The announced elements alone exceed the limit, so the reader does not wait for them.
        guard Int(count) * MemoryLayout<ReplyToken>.stride <= room else { return refuse(.replyTooLarge) }
        return append(ReplyToken(kind: .array, low: 0, high: UInt32(count)))
    }

    mutating func appendInteger(_ value: Int64) -> Bool {
        let bits = UInt64(bitPattern: value)
        return append(
            ReplyToken(kind: .integer, low: UInt32(truncatingIfNeeded: bits), high: UInt32(bits >> 32))
        )
    }

    mutating func appendNull() -> Bool {
        append(ReplyToken(kind: .null, low: 0, high: 0))
    }

    private mutating func append(_ token: ReplyToken) -> Bool {
        guard room >= 0 else { return refuse(.replyTooLarge) }
        if tokenCount == tokenCapacity { growTokens() }
        unsafe tokens[tokenCount] = token
        tokenCount += 1
        return true
    }

    private mutating func refuse(_ reason: Refusal) -> Bool {
        refusal = reason
        return false
    }

    private mutating func growTokens() {
        let grown = UnsafeMutablePointer<ReplyToken>.allocate(capacity: tokenCapacity * 2)
        unsafe grown.update(from: tokens, count: tokenCount)
        unsafe tokens.deallocate()
        unsafe tokens = unsafe grown
        tokenCapacity *= 2
    }

    private mutating func growArena(toHold needed: Int) {
        let capacity = max(arenaCapacity * 2, needed)
        let grown = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        unsafe grown.update(from: arena, count: byteCount)
        unsafe arena.deallocate()
        unsafe arena = unsafe grown
        arenaCapacity = capacity
    }
}
