/// The commands on keys of any kind.
extension RedisModel {
    func del(_ call: Call) {
        var deleted = 0
        for key in call.arguments.dropFirst() {
            let place = place(key, call)
            if lookup(place) != nil, delete(place) { deleted += 1 }
        }
        reply.integer(deleted)
    }

    func exists(_ call: Call) {
        reply.integer(call.arguments.dropFirst().count { lookup(place($0, call)) != nil })
    }

    func type(_ call: Call) {
        reply.simple(lookup(place(call[1], call))?.typeName ?? "none")
    }

    func rename(_ call: Call) throws(ReplyError) {
        let (old, new) = (place(call[1], call), place(call[2], call))
        guard let value = lookup(old) else { throw .noSuchKey }
        if old != new {
            let expiry = databases[old.database][old.key]?.expiry
            if lookup(new) != nil { delete(new) }
            store(value, at: new, expiry: expiry)
            delete(old)
        }
        reply.ok()
    }

    /// `EXPIRE` and `PEXPIRE`. `unit` is the number of milliseconds in a unit.
    func expire(_ call: Call, unit: Int) throws(ReplyError) {
        let amount = try call.integer(2)
        let place = place(call[1], call)
        let condition = try condition(call)
        let (milliseconds, overflow) = amount.multipliedReportingOverflow(by: unit)
        let (end, isTooFar) = milliseconds.addingReportingOverflow(time.wall)
        if overflow || isTooFar {
            throw ReplyError("ERR invalid expire time in '\(unit == 1 ? "pexpire" : "expire")' command")
        }
        guard lookup(place) != nil else { return reply.integer(0) }
        let current = databases[place.database][place.key]?.expiry
        guard condition(current, end) else { return reply.integer(0) }
        if end <= time.wall {
            delete(place)
        } else {
            databases[place.database][place.key]?.expiry = end
            touch(place)
        }
        reply.integer(1)
    }

    /// Reads the condition of `EXPIRE`. The returned closure gets the current expiry and the new one, and tells whether
    /// to set it.
    private func condition(_ call: Call) throws(ReplyError) -> (Int?, Int) -> Bool {
        var words: [String] = []
        for argument in call.arguments.dropFirst(3) {
            let word = argument.uppercase.text
            guard ["NX", "XX", "GT", "LT"].contains(word) else {
                throw ReplyError(Bytes("ERR Unsupported option "), argument)
            }
            words.append(word)
        }
        if words.contains("NX"), words.count > 1 {
            throw ReplyError("ERR NX and XX, GT or LT options at the same time are not compatible")
        }
        if words.contains("GT"), words.contains("LT") {
            throw ReplyError("ERR GT and LT options at the same time are not compatible")
        }
        return { current, new in
            words.allSatisfy { word in
                switch word {
                case "NX": current == nil
                case "XX": current != nil
                case "GT": new > current ?? .max
                default: new < current ?? .max
                }
            }
        }
    }

    func persist(_ call: Call) {
        let place = place(call[1], call)
        guard lookup(place) != nil, databases[place.database][place.key]?.expiry != nil else { return reply.integer(0) }
        databases[place.database][place.key]?.expiry = nil
        touch(place)
        reply.integer(1)
    }

    func ttl(_ call: Call, unit: Int) {
        let place = place(call[1], call)
        guard lookup(place) != nil else { return reply.integer(-2) }
        guard let expiry = databases[place.database][place.key]?.expiry else { return reply.integer(-1) }
        let (difference, isTooFar) = expiry.subtractingReportingOverflow(time.wall)
        let rest = isTooFar ? .max : max(0, difference)
        reply.integer(unit == 1 ? rest : rest / unit + (rest % unit >= unit / 2 ? 1 : 0))
    }

    /// `KEYS`. Only a `*` at the end of a pattern is supported.
    func keys(_ call: Call) {
        let star = UInt8(ascii: "*")
        let pattern = call[1]
        let keys = databases[call.client.database].sortedKeys.filter { key in
            guard lookup(place(key, call)) != nil else { return false }
            return pattern.last == star ? key.starts(with: pattern.dropLast()) : key == pattern
        }
        reply.array(keys.count)
        for key in keys { reply.bulk(key) }
    }

    func dbsize(_ call: Call) {
        reply.integer(databases[call.client.database].slots.count)
    }

    func flushall(_ call: Call) throws(ReplyError) {
        try checkFlush(call)
        for index in databases.indices { flush(index) }
        reply.ok()
    }

    func flushdb(_ call: Call) throws(ReplyError) {
        try checkFlush(call)
        flush(call.client.database)
        reply.ok()
    }

    private func checkFlush(_ call: Call) throws(ReplyError) {
        guard call.count == 1 || call.count == 2 && (call.isWord(1, "SYNC") || call.isWord(1, "ASYNC")) else {
            throw .syntax
        }
    }

    func swapdb(_ call: Call) throws(ReplyError) {
        if clusterNode != nil { throw ReplyError("ERR SWAPDB is not allowed in cluster mode") }
        let first = try call.integer(1, or: ReplyError("ERR invalid first DB index"))
        let second = try call.integer(2, or: ReplyError("ERR invalid second DB index"))
        guard databases.indices.contains(first), databases.indices.contains(second) else {
            throw ReplyError("ERR DB index is out of range")
        }
        swap(first, second)
        reply.ok()
    }
}
