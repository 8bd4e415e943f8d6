/// The commands on strings and hashes that are used with streams, for positions and counters.
extension RedisModel {
    private func string(_ place: KeyPlace) throws(ReplyError) -> Bytes? {
        switch lookup(place) {
        case .string(let value)?: return value
        case nil: return nil
        default: throw .wrongType
        }
    }

    func get(_ call: Call) throws(ReplyError) {
        if let value = try string(place(call[1], call)) { reply.bulk(value) } else { reply.null() }
    }

    func set(_ call: Call) throws(ReplyError) {
        let place = place(call[1], call)
        var (isNew, isOld, keepsExpiry, returnsOld): (Bool, Bool, Bool, Bool) = (false, false, false, false)
        var expiry: Int?
        var position = 3
        while position < call.count {
            let word = call[position].uppercase.text
            switch word {
            case "NX": isNew = true
            case "XX": isOld = true
            case "GET": returnsOld = true
            case "KEEPTTL": keepsExpiry = true
            case "EX", "PX":
                guard call.following(position) > 0 else { throw .syntax }
                position += 1
                let amount = try call.integer(position)
                let (duration, isTooLong) = amount.multipliedReportingOverflow(by: word == "EX" ? 1000 : 1)
                let (end, isTooLate) = time.wall.addingReportingOverflow(duration)
                guard amount > 0, !isTooLong, !isTooLate else {
                    throw ReplyError("ERR invalid expire time in 'set' command")
                }
                expiry = end
            default: throw .syntax
            }
            position += 1
        }
        if isNew && isOld || expiry != nil && keepsExpiry { throw .syntax }
        let exists = lookup(place) != nil
        let old = returnsOld ? try string(place) : nil
        let isSet = exists ? !isNew : !isOld
        if isSet {
            let current = keepsExpiry ? databases[place.database][place.key]?.expiry : nil
            store(.string(call[2]), at: place, expiry: expiry ?? current)
        }
        if returnsOld {
            if let old { reply.bulk(old) } else { reply.null() }
        } else if isSet {
            reply.ok()
        } else {
            reply.null()
        }
    }

    func increment(_ call: Call, by amount: Int) throws(ReplyError) {
        let place = place(call[1], call)
        let old = try string(place) ?? Bytes("0")
        guard let number = old.canonicalInteger else { throw .notAnInteger }
        let (sum, overflow) = number.addingReportingOverflow(amount)
        guard !overflow else { throw ReplyError("ERR increment or decrement would overflow") }
        store(.string(Bytes("\(sum)")), at: place, expiry: databases[place.database][place.key]?.expiry)
        reply.integer(sum)
    }

    // MARK: Hashes

    func hash(_ place: KeyPlace) throws(ReplyError) -> [(field: Bytes, value: Bytes)]? {
        switch lookup(place) {
        case .hash(let fields)?: return fields
        case nil: return nil
        default: throw .wrongType
        }
    }

    func hset(_ call: Call) throws(ReplyError) {
        guard call.count % 2 == 0 else { throw .arity("hset") }
        let place = place(call[1], call)
        var fields = try hash(place) ?? []
        var added = 0
        for position in stride(from: 2, to: call.count, by: 2) {
            if let index = fields.firstIndex(where: { $0.field == call[position] }) {
                fields[index].value = call[position + 1]
            } else {
                fields.append((call[position], call[position + 1]))
                added += 1
            }
        }
        store(.hash(fields), at: place, expiry: databases[place.database][place.key]?.expiry)
        reply.integer(added)
    }

    func hget(_ call: Call) throws(ReplyError) {
        let fields = try hash(place(call[1], call)) ?? []
        if let pair = fields.first(where: { $0.field == call[2] }) { reply.bulk(pair.value) } else { reply.null() }
    }

    func hmget(_ call: Call) throws(ReplyError) {
        let fields = try hash(place(call[1], call)) ?? []
        reply.array(call.count - 2)
        for name in call.arguments.dropFirst(2) {
            if let pair = fields.first(where: { $0.field == name }) { reply.bulk(pair.value) } else { reply.null() }
        }
    }

    func hdel(_ call: Call) throws(ReplyError) {
        let place = place(call[1], call)
        guard var fields = try hash(place) else { return reply.integer(0) }
        let before = fields.count
        fields.removeAll { pair in call.arguments[2...].contains(pair.field) }
        if fields.isEmpty {
            delete(place)
        } else if fields.count < before {
            store(.hash(fields), at: place, expiry: databases[place.database][place.key]?.expiry)
        }
        reply.integer(before - fields.count)
    }

    func hgetall(_ call: Call) throws(ReplyError) {
        let fields = try hash(place(call[1], call)) ?? []
        reply.map(fields.count)
        for pair in fields {
            reply.bulk(pair.field)
            reply.bulk(pair.value)
        }
    }
}
