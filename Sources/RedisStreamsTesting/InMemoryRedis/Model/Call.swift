internal import RedisStreams

/// A command that is being executed, with access to its arguments.
struct Call {
    var arguments: [Bytes]
    let client: RedisModel.Client
    /// Whether the command may block. It may not within a transaction.
    var mayBlock = true
    /// Whether the command was blocked, and is executed again because its key has changed.
    var isRepeated = false

    var count: Int { arguments.count }

    subscript(position: Int) -> Bytes { arguments[position] }

    func isWord(_ position: Int, _ word: String) -> Bool {
        arguments[position].isWord(word)
    }

    /// The number of arguments after a position.
    func following(_ position: Int) -> Int { arguments.count - 1 - position }

    func integer(_ position: Int, or error: ReplyError = .notAnInteger) throws(ReplyError) -> Int {
        guard let value = arguments[position].canonicalInteger else { throw error }
        return value
    }

    // MARK: Ids

    /// Reads an id. `sequence` completes an id without a sequence.
    func id(_ position: Int, sequence: UInt64 = 0, isStrict: Bool = true) throws(ReplyError) -> StreamID {
        guard let id = StreamID(arguments[position], sequence: sequence, isStrict: isStrict) else { throw .invalidID }
        return id
    }

    func ids(_ range: Range<Int>) throws(ReplyError) -> [StreamID] {
        var ids: [StreamID] = []
        ids.reserveCapacity(range.count)
        for position in range { ids.append(try id(position)) }
        return ids
    }

    /// Reads the start of a range: an id, `-`, or `(` and an id.
    func rangeStart(_ position: Int) throws(ReplyError) -> StreamID {
        guard let excluded = try excluded(position, sequence: 0) else { return try id(position, isStrict: false) }
        guard let next = excluded.next else { throw .invalidStart }
        return next
    }

    /// Reads the end of a range: an id, `+`, or `(` and an id.
    func rangeEnd(_ position: Int) throws(ReplyError) -> StreamID {
        guard let excluded = try excluded(position, sequence: .max) else {
            return try id(position, sequence: .max, isStrict: false)
        }
        guard let previous = excluded.previous else { throw .invalidEnd }
        return previous
    }

    private func excluded(_ position: Int, sequence: UInt64) throws(ReplyError) -> StreamID? {
        guard arguments[position].count > 1, arguments[position][0] == UInt8(ascii: "(") else { return nil }
        guard let id = StreamID(arguments[position].dropFirst(), sequence: sequence, isStrict: true) else {
            throw .invalidID
        }
        return id
    }
}

extension StreamID {
    /// Reads an id as Redis does. `-` and `+`, the lowest and the highest id, are accepted only if `isStrict` is
    /// `false`.
    init?(_ bytes: some Collection<UInt8>, sequence: UInt64, isStrict: Bool) {
        if bytes.count == 1, let sign = bytes.first {
            if sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
                if isStrict { return nil }
                self = sign == UInt8(ascii: "-") ? .zero : .max
                return
            }
        }
        guard bytes.count < 128 else { return nil }
        // In C, the text ends at a zero byte.
        let bytes = bytes.prefix { $0 != 0 }
        guard let dash = bytes.firstIndex(of: UInt8(ascii: "-")) else {
            guard let milliseconds = bytes.idPart else { return nil }
            self.init(milliseconds: milliseconds, sequence: sequence)
            return
        }
        guard let milliseconds = bytes[..<dash].idPart, let sequence = bytes[bytes.index(after: dash)...].idPart else {
            return nil
        }
        self.init(milliseconds: milliseconds, sequence: sequence)
    }
}
