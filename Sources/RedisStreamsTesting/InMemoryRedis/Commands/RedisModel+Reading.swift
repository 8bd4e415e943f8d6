internal import RedisStreams

/// The group and the consumer for which entries are read.
struct StreamReading {
    let group: MessageGroup
    let member: GroupMember
    /// Whether the entries count as acknowledged at once (`NOACK`).
    let isAcknowledged: Bool
}

/// `XREAD` and `XREADGROUP`.
extension RedisModel {
    private struct ReadOptions {
        var count = 0
        /// The `BLOCK` time in milliseconds; 0 for no limit.
        var timeout: Int?
        var group: Bytes?
        var consumer: Bytes = []
        var isAcknowledged = false
        /// The position of the first key in the arguments.
        var keys = 0
        var streamCount = 0
    }

    /// Where a stream is read from.
    private enum Start {
        /// The entries after an id.
        case after(StreamID)
        /// `>`: the entries that the group has not read.
        case new(MessageGroup)
        /// The messages that are pending for the consumer, after an id.
        case history(MessageGroup, StreamID)
    }

    func xread(_ call: Call) throws(ReplyError) {
        let isGroup = call.isWord(0, "XREADGROUP")
        let options = try readOptions(call, isGroup: isGroup)
        var starts: [Start] = []
        for index in 0..<options.streamCount { starts.append(try start(call, options, index)) }
        let mark = reply.mark
        var answered = 0
        for (index, start) in starts.enumerated() where try answer(call, options, index, start) { answered += 1 }
        if answered > 0 { return reply.pairs(answered, from: mark) }
        guard let timeout = options.timeout, call.mayBlock else { return reply.nullArray() }
        wait(call, options, starts, timeout)
    }

    private func wait(_ call: Call, _ options: ReadOptions, _ starts: [Start], _ timeout: Int) {
        var command = call.arguments
        var ids: [StreamID] = []
        for (index, start) in starts.enumerated() {
            guard case .after(let id) = start else {
                ids.append(.max)
                continue
            }
            ids.append(id)
            // `$` means the last id now, not when the command is executed again.
            let position = options.keys + options.streamCount + index
            if command[position] == [UInt8(ascii: "$")] { command[position] = Bytes(id) }
        }
        let keys = call.arguments[options.keys..<options.keys + options.streamCount]
        let wait = Wait(
            places: keys.map { place($0, call) },
            ids: ids,
            group: options.group.map {
                GroupReading(group: $0, consumer: options.consumer, isAcknowledged: options.isAcknowledged)
            },
            count: options.count,
            deadline: timeout == 0 ? nil : time.deadline(in: timeout),
            command: command
        )
        startWaiting(wait, call.client)
    }

    // MARK: Replying

    /// Writes the entries of a stream. Returns whether there are any.
    private func answer(
        _ call: Call,
        _ options: ReadOptions,
        _ index: Int,
        _ start: Start
    ) throws(ReplyError) -> Bool {
        let key = call[options.keys + index]
        guard let stream = try stream(place(key, call)) else { return false }
        switch start {
        case .after(let id):
            guard !stream.isEmpty, stream.lastEntryID > id, let first = id.next else { return false }
            header(key)
            read(stream, from: first, count: options.count, nil, into: &reply)
        case .new(let group):
            // Since 7.2 the server creates a consumer even when the command brings it no message.
            if version.isAtLeast7_2 { _ = seen(options.consumer, in: group) }
            guard !stream.isEmpty, stream.lastEntryID > group.lastID, let first = group.lastID.next else {
                return false
            }
            header(key)
            let reading = StreamReading(
                group: group,
                member: seen(options.consumer, in: group),
                isAcknowledged: options.isAcknowledged
            )
            read(stream, from: first, count: options.count, reading, into: &reply)
        case .history(let group, let id):
            header(key)
            readHistory(stream, of: seen(options.consumer, in: group), behind: id, count: options.count)
        }
        return true
    }

    private func header(_ key: Bytes) {
        reply.pair()
        reply.bulk(key)
    }

    /// Returns a consumer, which is created if it does not exist, and sets its time of the last attempt.
    func seen(_ name: Bytes, in group: MessageGroup) -> GroupMember {
        let member = group.member(name) ?? group.addMember(name, now: time.wall)
        member.seenTime = time.wall
        return member
    }

    /// Writes entries as an array, and delivers them if they are read for a group. A `count` of 0 means all.
    func read(
        _ stream: StreamValue,
        from start: StreamID,
        count: Int,
        _ reading: StreamReading?,
        into writer: inout ReplyWriter
    ) {
        let mark = writer.mark
        var found = 0
        stream.forEach(from: start) { entry in
            if let reading { deliver(entry.id, of: stream, reading) }
            writer.raw(entry.encoded)
            found += 1
            return found != count
        }
        writer.array(found, from: mark)
    }

    private func deliver(_ id: StreamID, of stream: StreamValue, _ reading: StreamReading) {
        let group = reading.group
        if id > group.lastID {
            stream.countRead(id, by: group, version)
            stream.move(group, to: id)
        }
        guard !reading.isAcknowledged else { return }
        reading.member.activeTime = time.wall
        if let message = group.pending.find(id) {
            group.give(message, to: reading.member)
            message.deliveryTime = time.wall
            message.deliveryCount = 1
        } else {
            group.insert(PendingMessage(id: id, consumer: reading.member, deliveryTime: time.wall))
        }
    }

    private func readHistory(_ stream: StreamValue, of member: GroupMember, behind id: StreamID, count: Int) {
        guard let start = id.next else { return reply.array(0) }
        let mark = reply.mark
        var found = 0
        for message in member.pending.messages.dropFirst(member.pending.lowerBound(start)) {
            if count != 0, found == count { break }
            if let entry = stream.entry(message.id) {
                reply.raw(entry.encoded)
                message.deliveryTime = time.wall
                message.deliveryCount &+= 1
            } else {
                reply.array(2)
                reply.bulk(message.id)
                reply.nullArray()
            }
            found += 1
        }
        reply.array(found, from: mark)
    }

    // MARK: Arguments

    private func readOptions(_ call: Call, isGroup: Bool) throws(ReplyError) -> ReadOptions {
        var options = ReadOptions()
        var position = 1
        while position < call.count, options.keys == 0 {
            let following = call.following(position)
            if call.isWord(position, "BLOCK"), following > 0 {
                options.timeout = try timeout(call, position + 1)
                position += 1
            } else if call.isWord(position, "COUNT"), following > 0 {
                options.count = max(0, try call.integer(position + 1))
                position += 1
            } else if call.isWord(position, "STREAMS"), following > 0 {
                options.keys = position + 1
                guard following % 2 == 0 else { throw unbalanced(isGroup) }
                options.streamCount = following / 2
            } else if call.isWord(position, "GROUP"), following > 1 {
                guard isGroup else { throw Self.groupOnly("GROUP") }
                options.group = call[position + 1]
                options.consumer = call[position + 2]
                position += 2
            } else if call.isWord(position, "NOACK") {
                guard isGroup else { throw Self.groupOnly("NOACK") }
                options.isAcknowledged = true
            } else {
                throw .syntax
            }
            position += 1
        }
        guard options.keys > 0 else { throw .syntax }
        if isGroup, options.group == nil { throw ReplyError("ERR Missing GROUP option for XREADGROUP") }
        return options
    }

    private func timeout(_ call: Call, _ position: Int) throws(ReplyError) -> Int {
        let timeout = try call.integer(position, or: ReplyError("ERR timeout is not an integer or out of range"))
        guard timeout >= 0 else { throw ReplyError("ERR timeout is negative") }
        let (_, isTooLate) = timeout.addingReportingOverflow(time.wall)
        if version.isAtLeast7_2, isTooLate { throw ReplyError("ERR timeout is out of range") }
        return timeout
    }

    private func unbalanced(_ isGroup: Bool) -> ReplyError {
        switch version {
        case .redis6_2, .redis7_0:
            ReplyError(
                "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
            )
        case .redis8_2:
            ReplyError(
                "ERR Unbalanced '\(isGroup ? "xreadgroup" : "xread")' list of streams: for each stream key an "
                    + "\(isGroup ? "ID or '>'" : "ID, '+', or '$'") must be specified."
            )
        case .valkey9_1:
            ReplyError(
                "ERR Unbalanced '\(isGroup ? "xreadgroup" : "xread")' list of streams: for each stream key an "
                    + "ID or '\(isGroup ? ">" : "$")' must be specified."
            )
        }
    }

    private static func groupOnly(_ option: String) -> ReplyError {
        ReplyError("ERR The \(option) option is only supported by XREADGROUP. You called XREAD instead.")
    }

    private func start(_ call: Call, _ options: ReadOptions, _ index: Int) throws(ReplyError) -> Start {
        let key = call[options.keys + index]
        let position = options.keys + options.streamCount + index
        let stream = try stream(place(key, call))
        guard let name = options.group else {
            switch call[position] {
            case [UInt8(ascii: "$")]: return .after(stream?.lastID ?? .zero)
            case [UInt8(ascii: "+")] where version.isAtLeast7_2: return .after(beforeLast(stream))
            case [UInt8(ascii: ">")]:
                throw ReplyError(
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> "
                        + "option."
                )
            default: return .after(try call.id(position))
            }
        }
        guard let group = stream?.group(name) else { throw .noGroup(key, name, " in XREADGROUP with GROUP option") }
        switch call[position] {
        case [UInt8(ascii: "$")]: throw Self.meaningless("$")
        case [UInt8(ascii: "+")] where version.isAtLeast7_2: throw Self.meaningless("+")
        case [UInt8(ascii: ">")]: return .new(group)
        default:
            let id = try call.id(position)
            // In the server, too, the highest id means `>`.
            return id == .max ? .new(group) : .history(group, id)
        }
    }

    /// Returns the id before the last entry, for `+`. On Valkey, that is the entry with the last id that was given out,
    /// even if it was removed.
    private func beforeLast(_ stream: StreamValue?) -> StreamID {
        guard let stream else { return .zero }
        return (version == .valkey9_1 ? stream.lastID : stream.lastEntryID).previous ?? .zero
    }

    private static func meaningless(_ id: String) -> ReplyError {
        ReplyError(
            "ERR The \(id) ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer "
                + "by specifying a proper ID, or use the > ID to get new messages. The \(id) ID would just return an empty "
                + "result set."
        )
    }
}
