internal import RedisStreams

/// The commands on the entries of a stream, without groups.
extension RedisModel {
    func xlen(_ call: Call) throws(ReplyError) {
        reply.integer(try stream(call)?.count ?? 0)
    }

    func xrange(_ call: Call) throws(ReplyError) { try range(call, isReversed: false) }

    func xrevrange(_ call: Call) throws(ReplyError) { try range(call, isReversed: true) }

    private func range(_ call: Call, isReversed: Bool) throws(ReplyError) {
        let start = try call.rangeStart(isReversed ? 3 : 2)
        let end = try call.rangeEnd(isReversed ? 2 : 3)
        var count: Int?
        var position = 4
        while position < call.count {
            guard call.isWord(position, "COUNT"), call.following(position) > 0 else { throw .syntax }
            count = max(0, try call.integer(position + 1))
            position += 2
        }
        guard let stream = try stream(call) else { return reply.array(0) }
        if count == 0 { return reply.nullArray() }
        let mark = reply.mark
        var found = 0
        let body = { (entry: StreamEntry) -> Bool in
            self.reply.raw(entry.encoded)
            found += 1
            return found != count
        }
        if start <= end {
            if isReversed {
                stream.forEachReversed(from: end, through: start, body)
            } else {
                stream.forEach(from: start, through: end, body)
            }
        }
        reply.array(found, from: mark)
    }

    func xdel(_ call: Call) throws(ReplyError) {
        let place = place(call[1], call)
        guard let stream = try stream(place) else { return reply.integer(0) }
        let ids = try call.ids(2..<call.count)
        let deleted = ids.reduce(0) { $0 + (stream.delete($1) ? 1 : 0) }
        if deleted > 0 { touch(place) }
        reply.integer(deleted)
    }

    func xsetid(_ call: Call) throws(ReplyError) {
        // Redis 6.2 checks the key before it parses the id.
        if version == .redis6_2, try stream(call) == nil { throw .noSuchKey }
        let id = try call.id(2)
        var (entriesAdded, maxDeletedID): (Int?, StreamID) = (nil, .zero)
        var position = 3
        while position < call.count {
            guard call.following(position) > 0 else { throw .syntax }
            if call.isWord(position, "ENTRIESADDED") {
                let count = try call.integer(position + 1)
                guard count >= 0 else { throw ReplyError("ERR entries_added must be positive") }
                entriesAdded = count
            } else if call.isWord(position, "MAXDELETEDID") {
                maxDeletedID = try call.id(position + 1)
                guard id >= maxDeletedID else {
                    throw ReplyError(
                        "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
                    )
                }
            } else {
                throw .syntax
            }
            position += 2
        }
        guard let stream = try stream(call) else { throw .noSuchKey }
        try setID(stream, id, entriesAdded, maxDeletedID)
        reply.ok()
    }

    private func setID(
        _ stream: StreamValue,
        _ id: StreamID,
        _ entriesAdded: Int?,
        _ maxDeletedID: StreamID
    ) throws(ReplyError) {
        if version.isAtLeast7_2, id < stream.maxDeletedID {
            throw ReplyError("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")
        }
        if !stream.isEmpty {
            guard id >= stream.lastEntryID else {
                throw ReplyError("ERR The ID specified in XSETID is smaller than the target stream top item")
            }
            if let entriesAdded, entriesAdded < stream.count {
                throw ReplyError("ERR The entries_added specified in XSETID is smaller than the target stream length")
            }
        }
        stream.lastID = id
        if let entriesAdded { stream.entriesAdded = entriesAdded }
        if maxDeletedID != .zero { stream.maxDeletedID = maxDeletedID }
    }
}
