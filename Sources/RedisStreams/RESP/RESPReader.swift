internal import CHiredis

/// Parses replies from bytes that may be split anywhere.
///
/// Pass it the bytes in the order in which the socket receives them; it calls back with each complete reply. After an
/// error it no longer knows where the next reply begins: every later call throws the same error, and the caller has to
/// close the connection.
@safe package struct RESPReader: ~Copyable {
    private var reader: UnsafeMutablePointer<redisReader>
    private let builder: UnsafeMutablePointer<TapeBuilder>
    private let sink: UnsafeMutablePointer<rs_sink>
    private var failure: RedisError?

    /// - Parameter secret: The password to remove from the server's texts before they are shown in errors.
    package init(limits: RESPLimits = RESPLimits(), secret: Password? = nil) {
        unsafe builder = .allocate(capacity: 1)
        unsafe builder.initialize(to: TapeBuilder(limits: limits, secrets: Secrets(secret)))
        unsafe sink = .allocate(capacity: 1)
        unsafe sink.initialize(to: makeSink(for: builder))
        guard let created = unsafe rs_reader_create(sink) else {
            // hiredis fails here only if malloc fails. Swift's own allocations end the process in that case, too.
            fatalError("out of memory")
        }
        unsafe reader = unsafe created
    }

    deinit {
        unsafe rs_reader_free(reader)
        unsafe builder.pointee.deallocate()
        unsafe builder.deallocate()
        unsafe sink.deallocate()
    }

    /// Removes this password, too, from the texts of later replies.
    mutating func hide(_ password: Password) {
        unsafe builder.pointee.secrets.add(password)
    }

    /// Parses `bytes`, and calls `body` with each reply that is complete now, in order.
    package mutating func read(_ bytes: UnsafeRawBufferPointer, _ body: (RedisReply) -> Void) throws(RedisError) {
        if let failure { throw failure }
        if let base = bytes.baseAddress, unsafe !bytes.isEmpty {
            let fed = unsafe rs_reader_feed(reader, base.assumingMemoryBound(to: CChar.self), bytes.count)
            guard fed == REDIS_OK else { throw fail("hiredis could not take the bytes (out of memory).") }
        }
        var starts: [Int] = []
        var status = unsafe rs_reader_advance(reader)
        while status == 1 {
            starts.append(unsafe builder.pointee.endReply())
            status = unsafe rs_reader_advance(reader)
        }
        // Replies before the fault are delivered, because the server has executed their commands.
        if !starts.isEmpty {
            let tape = unsafe builder.pointee.seal()
            for start in starts { body(RedisReply(tape: tape, index: start)) }
        }
        if status < 0 {
            let code: RedisError.Code =
                switch unsafe builder.pointee.refusal {
                case .replyTooLarge, .tooManyElements: .replyTooLarge
                default: .protocolViolation
                }
            throw fail(refusalMessage(), code)
        }
        try checkUnparsed()
    }

    /// Bounds the value that hiredis still waits for, since hiredis calls back only for values that are complete.
    private mutating func checkUnparsed() throws(RedisError) {
        let unparsed = unsafe rs_reader_unparsed(reader)
        let limits = unsafe builder.pointee.limits
        guard unparsed > 0 else { return }
        let announced = unsafe rs_reader_announced(reader)
        if announced < 0 && unparsed > limits.maxLineBytes {
            throw fail("A line of the reply is longer than \(limits.maxLineBytes) bytes (RESPLimits.maxLineBytes).")
        }
        // The reader does not wait for a bulk string that cannot fit: it could be gigabytes long.
        if unsafe max(Int(announced), announced < 0 ? unparsed : 0) > builder.pointee.room {
            throw fail(Self.tooLarge(limits), .replyTooLarge)
        }
    }

    private static func tooLarge(_ limits: RESPLimits) -> String {
        "The reply is larger than \(limits.maxReplyBytes) bytes: ask for less at a time (COUNT, or the batchSize of a "
            + "consumer), or raise RESPLimits.maxReplyBytes."
    }

    private mutating func fail(_ message: String, _ code: RedisError.Code = .protocolViolation) -> RedisError {
        let error = RedisError(code, message)
        failure = error
        return error
    }

    private func refusalMessage() -> String {
        let limits = unsafe builder.pointee.limits
        switch unsafe builder.pointee.refusal {
        case .tooManyElements(let count):
            return "An array of \(count) elements exceeds RESPLimits.maxArrayElements (\(limits.maxArrayElements)): "
                + "ask for less at a time (COUNT, or the batchSize of a consumer), or raise the limit."
        case .tooDeep:
            return "The reply nests more than \(limits.maxDepth) arrays (RESPLimits.maxDepth)."
        case .replyTooLarge:
            return Self.tooLarge(limits)
        case .lineTooLong:
            return "A line of the reply is longer than \(limits.maxLineBytes) bytes (RESPLimits.maxLineBytes)."
        case .unterminatedBulkString:
            return "A bulk string does not end where its length says."
        case .notRESP2:
            return "The peer sent a RESP3 value on a RESP2 connection."
        case nil:
            let reason = unsafe String(cString: rs_reader_error(reader))
            return "The peer does not speak RESP2 (\(reason)). Is this the port of a Redis server, and is TLS needed?"
        }
    }
}

private func makeSink(for builder: UnsafeMutablePointer<TapeBuilder>) -> rs_sink {
    unsafe rs_sink(
        context: builder,
        string: { context, type, bytes, length in
            guard let context = unsafe context, let bytes = unsafe bytes else { return 0 }
            return unsafe tape(context).pointee.appendString(type: type, bytes: bytes, count: length) ? 1 : 0
        },
        array: { context, count, depth in
            guard let context = unsafe context else { return 0 }
            return unsafe tape(context).pointee.appendArray(count: count, depth: Int(depth)) ? 1 : 0
        },
        integer: { context, value in
            guard let context = unsafe context else { return 0 }
            return unsafe tape(context).pointee.appendInteger(value) ? 1 : 0
        },
        nil: { context in
            guard let context = unsafe context else { return 0 }
            return unsafe tape(context).pointee.appendNull() ? 1 : 0
        }
    )
}

@inline(__always)
private func tape(_ context: UnsafeMutableRawPointer) -> UnsafeMutablePointer<TapeBuilder> {
    unsafe context.assumingMemoryBound(to: TapeBuilder.self)
}
