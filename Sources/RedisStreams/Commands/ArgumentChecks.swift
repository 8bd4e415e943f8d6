/// Checks of arguments that several commands share.
extension RedisCommand {
    func check(ids: [StreamID]) throws(RedisError) {
        guard !ids.isEmpty else {
            throw invalid("\(name) needs at least one entry id; send nothing when there is none.")
        }
    }

    /// Refuses a name that is empty or has control characters. The usual cause is an environment variable that is not
    /// set, or that ends with a line break.
    ///
    /// Redis would accept the name, and the stream or group would be hard to find later. To use one that already has
    /// such a name, send a ``RawCommand``.
    func check(stream: StreamKey) throws(RedisError) { try check("stream", isName: stream.rawValue) }

    /// Refuses a group name that is empty or has control characters.
    func check(group: String) throws(RedisError) { try check("group", isName: group) }

    /// Refuses a consumer name that is empty or has control characters.
    func check(consumer: String) throws(RedisError) { try check("consumer", isName: consumer) }

    func check(_ parameter: String, isName name: String) throws(RedisError) {
        try RedisError.check(parameter, isName: name, command: self.name)
    }

    func check(keys: [StreamKey]) throws(RedisError) {
        guard !keys.isEmpty else { throw invalid("\(name) needs at least one key.") }
    }

    func check(count: Int?) throws(RedisError) {
        guard let count else { return }
        guard count > 0 else { throw invalid("The count must be at least 1; leave it out for no limit.") }
    }

    func check(_ what: String, isPositive value: Int?) throws(RedisError) {
        if let value, value <= 0 { throw invalid("\(what) must be at least 1.") }
    }

    func check(_ what: String, isNotNegative duration: Duration?) throws(RedisError) {
        if let duration, duration < .zero { throw invalid("\(what) must not be negative.") }
    }

    /// Refuses times below 1 ms or above a day. With 0, Redis would wait for ever, even if the connection is dead.
    func check(block: Duration?) throws(RedisError) {
        guard let block, block < .milliseconds(1) || block > .longestBlock else { return }
        throw invalid(
            "A blocking time must be from 1 ms to a day: 0 would wait for ever, also on a dead connection. "
                + "Read again after each timeout instead."
        )
    }
}

extension RedisError {
    /// Refuses an empty name, and one with control characters (0x00 to 0x1f, 0x7f).
    static func check(
        _ parameter: String,
        isName name: String,
        command: @autoclosure () -> String? = nil
    ) throws(RedisError) {
        guard !name.isEmpty else {
            throw RedisError(
                .invalidArgument,
                "\(parameter) must not be empty: was an environment variable not set?",
                command: command()
            )
        }
        let isControl = { (byte: UInt8) in byte < 0x20 || byte == 0x7f }
        // Without this, the check takes four times as long, and `xadd` checks a name for each message.
        let isBad = unsafe name.utf8.withContiguousStorageIfAvailable { unsafe $0.contains(where: isControl) }
        guard !(isBad ?? name.utf8.contains(where: isControl)) else {
            throw RedisError(
                .invalidArgument,
                "\(parameter) must have no control characters, such as a line break at its end.",
                command: command()
            )
        }
    }
}

extension Duration {
    /// The longest time that a command may block.
    static let longestBlock = Duration.seconds(86_400)
}

extension CommandEncoder {
    mutating func append(_ ids: [StreamID]) {
        for id in ids { append(id) }
    }

    mutating func append(_ keys: [StreamKey]) {
        for key in keys { append(key) }
    }

    /// Appends `COUNT` with the number, if there is one.
    mutating func append(count: Int?) {
        guard let count else { return }
        append("COUNT")
        append(count)
    }
}

extension RedisCommand {
    func check(_ trim: TrimStrategy?) throws(RedisError) {
        guard let trim else { return }
        switch trim.threshold {
        case .length(let length) where length < 0:
            throw invalid("The length that a stream is trimmed to must not be negative.")
        case .bytes(let bytes) where bytes < 0:
            throw invalid("The bytes that a stream is trimmed to must not be negative.")
        case .length, .id, .bytes: break
        }
        if let limit = trim.limit, limit < 0 {
            throw invalid("The limit of a trim must not be negative; 0 removes it.")
        }
    }
}
