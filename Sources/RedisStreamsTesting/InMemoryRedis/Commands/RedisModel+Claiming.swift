internal import RedisStreams

/// `XCLAIM` and `XAUTOCLAIM`.
extension RedisModel {
    /// The options with which a message is claimed.
    struct Claim {
        var minIdle = 0
        /// The new time of the last delivery, in milliseconds since 1970.
        var deliveryTime: Int
        /// The new delivery count; `nil` to count up by one, or to keep it for `isIDOnly`.
        var deliveryCount: Int?
        var isForced = false
        var isIDOnly = false
        var lastID = StreamID.zero
    }

    func xclaim(_ call: Call) throws(ReplyError) {
        let (stream, group) = try group(call)
        let idle = try call.integer(4, or: ReplyError("ERR Invalid min-idle-time argument for XCLAIM"))
        var position = 5
        var ids: [StreamID] = []
        while position < call.count, let id = StreamID(call[position], sequence: 0, isStrict: true) {
            ids.append(id)
            position += 1
        }
        var claim = try claimOptions(call, from: position)
        claim.minIdle = max(0, idle)
        if claim.lastID > group.lastID { stream.move(group, to: claim.lastID) }
        // Since 7.2 the server creates a consumer even when the command brings it no message.
        if version.isAtLeast7_2 { _ = seen(call[3], in: group) }
        let mark = reply.mark
        var claimed = 0
        for id in ids where self.claim(id, claim, of: stream, group, for: call[3]) {
            writeClaimed(id, of: stream, isIDOnly: claim.isIDOnly)
            claimed += 1
        }
        reply.array(claimed, from: mark)
    }

    /// Claims a message for a consumer. Returns whether it could.
    func claim(
        _ id: StreamID,
        _ claim: Claim,
        of stream: StreamValue,
        _ group: MessageGroup,
        for consumer: Bytes
    ) -> Bool {
        var message = group.pending.find(id)
        if version.isAtLeast7_0, !stream.contains(id) {
            if let message { group.remove(message) }
            return false
        }
        if message == nil, claim.isForced, version.isAtLeast7_0 || stream.contains(id) {
            let created = PendingMessage(id: id, consumer: nil, deliveryTime: time.wall)
            group.insert(created)
            message = created
        }
        guard let message else { return false }
        if message.consumer != nil, claim.minIdle > 0, time.wall - message.deliveryTime < claim.minIdle { return false }
        let member = seen(consumer, in: group)
        message.deliveryTime = claim.deliveryTime
        if let count = claim.deliveryCount {
            message.deliveryCount = count
        } else if !claim.isIDOnly {
            message.deliveryCount &+= 1
        }
        group.give(message, to: member)
        member.activeTime = time.wall
        return true
    }

    private func writeClaimed(_ id: StreamID, of stream: StreamValue, isIDOnly: Bool) {
        if isIDOnly {
            reply.bulk(id)
        } else if let entry = stream.entry(id) {
            reply.raw(entry.encoded)
        } else {
            // Redis 6.2 claims messages whose entry was deleted as well.
            reply.null()
        }
    }

    private func claimOptions(_ call: Call, from first: Int) throws(ReplyError) -> Claim {
        var claim = Claim(deliveryTime: time.wall)
        var deliveryTime = -1
        var position = first
        while position < call.count {
            let hasValue = call.following(position) > 0
            if call.isWord(position, "FORCE") {
                claim.isForced = true
            } else if call.isWord(position, "JUSTID") {
                claim.isIDOnly = true
            } else if call.isWord(position, "IDLE"), hasValue {
                position += 1
                deliveryTime = time.wall &- (try call.integer(position, or: Self.invalidClaim("IDLE")))
            } else if call.isWord(position, "TIME"), hasValue {
                position += 1
                deliveryTime = try call.integer(position, or: Self.invalidClaim("TIME"))
            } else if call.isWord(position, "RETRYCOUNT"), hasValue {
                position += 1
                let count = try call.integer(position, or: Self.invalidClaim("RETRYCOUNT"))
                claim.deliveryCount = count < 0 ? nil : count
            } else if call.isWord(position, "LASTID"), hasValue {
                position += 1
                claim.lastID = try call.id(position)
            } else {
                throw ReplyError(Bytes("ERR Unrecognized XCLAIM option '"), call[position], Bytes("'"))
            }
            position += 1
        }
        if deliveryTime >= 0, deliveryTime < time.wall { claim.deliveryTime = deliveryTime }
        return claim
    }

    private static func invalidClaim(_ option: String) -> ReplyError {
        ReplyError("ERR Invalid \(option) option argument for XCLAIM")
    }

    // MARK: XAUTOCLAIM

    private struct Scan {
        var minIdle = 0
        var start = StreamID.zero
        var count = 100
        var isIDOnly = false
    }

    func xautoclaim(_ call: Call) throws(ReplyError) {
        let scan = try scan(call)
        let (stream, group) = try group(call)
        if version.isAtLeast7_2 { _ = seen(call[3], in: group) }
        let claim = Claim(minIdle: scan.minIdle, deliveryTime: time.wall, isIDOnly: scan.isIDOnly)
        var (attempts, rest) = (scan.count.multipliedReportingOverflow(by: 10).partialValue, scan.count)
        var (claimed, deleted): ([StreamID], [StreamID]) = ([], [])
        var position = group.pending.lowerBound(scan.start)
        while attempts != 0, rest > 0, position < group.pending.count {
            attempts -= 1
            let id = group.pending[position].id
            if self.claim(id, claim, of: stream, group, for: call[3]) {
                claimed.append(id)
                rest -= 1
                position += 1
            } else if position < group.pending.count, group.pending[position].id == id {
                // The message was not idle for long enough.
                position += 1
            } else {
                deleted.append(id)
                rest -= 1
            }
        }
        let cursor = position < group.pending.count ? group.pending[position].id : .zero
        reply.array(version.isAtLeast7_0 ? 3 : 2)
        reply.bulk(cursor)
        reply.array(claimed.count)
        for id in claimed { writeClaimed(id, of: stream, isIDOnly: scan.isIDOnly) }
        guard version.isAtLeast7_0 else { return }
        reply.array(deleted.count)
        for id in deleted { reply.bulk(id) }
    }

    private func scan(_ call: Call) throws(ReplyError) -> Scan {
        var scan = Scan()
        scan.minIdle = max(
            0,
            try call.integer(4, or: ReplyError("ERR Invalid min-idle-time argument for XAUTOCLAIM"))
        )
        scan.start = try call.rangeStart(5)
        var position = 6
        while position < call.count {
            if call.isWord(position, "COUNT"), call.following(position) > 0 {
                // Since 7.0 the server limits COUNT to what it could allocate memory for.
                let highest = version.isAtLeast7_0 ? Int.max / 16 : Int.max
                let error = ReplyError("ERR COUNT must be > 0")
                scan.count = try call.integer(position + 1, or: error)
                guard (1...highest).contains(scan.count) else { throw error }
                position += 1
            } else if call.isWord(position, "JUSTID") {
                scan.isIDOnly = true
            } else {
                throw .syntax
            }
            position += 1
        }
        return scan
    }
}
