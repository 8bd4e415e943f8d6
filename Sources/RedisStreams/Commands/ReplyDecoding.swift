/// Decodes the shapes that many replies share. Any other shape is an error and never a trap, whatever the server sends.
extension RedisCommand {
    func integer(_ reply: RedisReply) throws(RedisError) -> Int {
        guard reply.kind == .integer, let value = reply.integer else { throw unexpected(reply) }
        return value
    }

    /// `true` for 1, `false` for 0.
    func flag(_ reply: RedisReply) throws(RedisError) -> Bool {
        switch try integer(reply) {
        case 0: false
        case 1: true
        default: throw unexpected(reply)
        }
    }

    func ok(_ reply: RedisReply) throws(RedisError) {
        guard reply.isText("OK") else { throw unexpected(reply) }
    }

    func elements(_ reply: RedisReply) throws(RedisError) -> RedisReply.Elements {
        guard let elements = reply.array else { throw unexpected(reply) }
        return elements
    }

    func string(_ reply: RedisReply) throws(RedisError) -> String {
        guard let string = reply.string else { throw unexpected(reply) }
        return string
    }

    func streamID(_ reply: RedisReply) throws(RedisError) -> StreamID {
        guard let id = reply.streamID else { throw unexpected(reply) }
        return id
    }

    func streamIDs(_ reply: RedisReply) throws(RedisError) -> [StreamID] {
        var ids: [StreamID] = []
        let elements = try elements(reply)
        ids.reserveCapacity(elements.count)
        for element in elements { ids.append(try streamID(element)) }
        return ids
    }

    func batch(of stream: StreamKey, _ reply: RedisReply) throws(RedisError) -> MessageBatch {
        guard let batch = MessageBatch(stream: stream, reply: reply) else { throw unexpected(reply) }
        return batch
    }

    /// Decodes `[[key, entries], …]`. Null, which servers send if there is nothing to read, becomes an empty array.
    func batches(_ reply: RedisReply) throws(RedisError) -> [MessageBatch] {
        if reply.isNull { return [] }
        let asked = keys
        // The server replies the streams in the order of the request, and leaves out those without entries.
        var position = 0
        var batches: [MessageBatch] = []
        for element in try elements(reply) {
            let pair = try elements(element)
            guard pair.count == 2, let key = pair[offset: 0], let entries = pair[offset: 1] else {
                throw unexpected(element)
            }
            while position < asked.count, !key.spells(asked[position]) { position += 1 }
            let stream = position < asked.count ? asked[position] : StreamKey(try string(key))
            batches.append(try batch(of: stream, entries))
        }
        return batches
    }
}

extension RedisReply {
    /// The entry id that a string spells.
    var streamID: StreamID? {
        unsafe withUnsafeBytes { bytes in unsafe StreamID(ascii: bytes) } ?? nil
    }

    fileprivate func spells(_ key: StreamKey) -> Bool {
        unsafe withUnsafeBytes { bytes in unsafe bytes.elementsEqual(key.rawValue.utf8) } ?? false
    }
}

/// A flat array of names and values, as XINFO replies it. Values are found by name, since new versions add some.
struct NamedValues {
    private var pairs: [(name: RedisReply, value: RedisReply)] = []

    /// `nil` if the reply is not a flat array of names and values.
    init?(_ reply: RedisReply) {
        guard let elements = reply.array, elements.count.isMultiple(of: 2) else { return nil }
        var name: RedisReply?
        for element in elements {
            if let known = name {
                pairs.append((known, element))
                name = nil
            } else {
                name = element
            }
        }
    }

    /// The value called `name`; `nil` if it is missing or null.
    subscript(name: StaticString) -> RedisReply? {
        guard let pair = pairs.first(where: { $0.name.isText(name) }), !pair.value.isNull else { return nil }
        return pair.value
    }

    func integer(_ name: StaticString) -> Int? { self[name]?.integer }

    func string(_ name: StaticString) -> String? { self[name]?.string }

    func id(_ name: StaticString) -> StreamID? { self[name]?.streamID }

    /// A duration in milliseconds; `nil` also for a negative one, which means "never".
    func milliseconds(_ name: StaticString) -> Duration? {
        guard let value = integer(name), value >= 0 else { return nil }
        return .milliseconds(value)
    }
}

extension RedisReply {
    /// The elements of an array as `transform` returns them; `nil` if this is not an array, or if one of them is `nil`.
    func mapElements<Element>(_ transform: (RedisReply) -> Element?) -> [Element]? {
        guard let elements = array else { return nil }
        var results: [Element] = []
        results.reserveCapacity(elements.count)
        for element in elements {
            guard let result = transform(element) else { return nil }
            results.append(result)
        }
        return results
    }
}

extension Int {
    /// The number, clamped to a plausible count of entries: not below zero, and so that adding a few does not overflow.
    var plausible: Int { Swift.max(0, Swift.min(self, 1 << 60)) }
}
