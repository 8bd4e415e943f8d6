internal import RedisStreams

/// `XGROUP` and `XACK`.
extension RedisModel {
    /// The options of `XGROUP CREATE` and `XGROUP SETID`.
    private struct GroupOptions {
        var makesStream = false
        var entriesRead: Int?
    }

    func xgroup(_ call: Call) throws(ReplyError) {
        if call.count == 2, call.isWord(1, "HELP") { return help(HelpText.xgroup(version)) }
        guard call.count >= 4 else { throw subcommandSyntax(call) }
        let options = try groupOptions(call)
        let place = place(call[2], call)
        let stream = try stream(place)
        if !options.makesStream {
            guard let stream else {
                throw ReplyError(
                    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
                        + "MKSTREAM option to create an empty stream automatically."
                )
            }
            let needsGroup = ["SETID", "CREATECONSUMER", "DELCONSUMER"].contains { call.isWord(1, $0) }
            if needsGroup, stream.group(call[3]) == nil { throw .noGroupForKey(call[2], call[3]) }
        }
        switch (call[1].uppercase.text, call.count) {
        case ("CREATE", 5...(version.isAtLeast7_0 ? 8 : 6)): try createGroup(call, place, stream, options)
        case ("SETID", 5): try setGroupID(call, stream, options)
        case ("SETID", 7) where version.isAtLeast7_0: try setGroupID(call, stream, options)
        case ("DESTROY", 4): destroyGroup(call, place, stream)
        case ("CREATECONSUMER", 5), ("DELCONSUMER", 5): changeConsumer(call, stream)
        default: throw subcommandSyntax(call)
        }
    }

    private func groupOptions(_ call: Call) throws(ReplyError) -> GroupOptions {
        var options = GroupOptions()
        let (creates, sets) = (call.isWord(1, "CREATE"), call.isWord(1, "SETID"))
        if version == .redis6_2 {
            guard call.count == 6, creates else { return options }
            guard call.isWord(5, "MKSTREAM") else { throw subcommandSyntax(call) }
            options.makesStream = true
            return options
        }
        var position = 5
        while position < call.count {
            if creates, call.isWord(position, "MKSTREAM") {
                options.makesStream = true
                position += 1
            } else if creates || sets, call.isWord(position, "ENTRIESREAD"), call.following(position) > 0 {
                let count = try call.integer(position + 1)
                guard count >= -1 else { throw ReplyError("ERR value for ENTRIESREAD must be positive or -1") }
                options.entriesRead = count < 0 ? nil : count
                position += 2
            } else {
                throw subcommandSyntax(call)
            }
        }
        return options
    }

    private func createGroup(
        _ call: Call,
        _ place: KeyPlace,
        _ stream: StreamValue?,
        _ options: GroupOptions
    ) throws(ReplyError) {
        let isLast = call[4] == [UInt8(ascii: "$")]
        let id = isLast ? (stream?.lastID ?? .zero) : try call.id(4)
        let stream = try streamOrNew(place)
        let entriesRead = entriesRead(options, stream)
        guard stream.addGroup(call[3], lastID: id, entriesRead: entriesRead) else {
            throw ReplyError("BUSYGROUP Consumer Group name already exists")
        }
        reply.ok()
    }

    private func setGroupID(_ call: Call, _ stream: StreamValue?, _ options: GroupOptions) throws(ReplyError) {
        guard let stream, let group = stream.group(call[3]) else { throw .noGroupForKey(call[2], call[3]) }
        let isLast = call[4] == [UInt8(ascii: "$")]
        stream.move(group, to: isLast ? stream.lastID : try call.id(4, isStrict: false))
        group.entriesRead = entriesRead(options, stream)
        reply.ok()
    }

    /// Redis 8.2 limits the number to that of the entries ever added.
    private func entriesRead(_ options: GroupOptions, _ stream: StreamValue) -> Int? {
        version == .redis8_2 ? options.entriesRead.map { min($0, stream.entriesAdded) } : options.entriesRead
    }

    private func destroyGroup(_ call: Call, _ place: KeyPlace, _ stream: StreamValue?) {
        guard let stream, let group = stream.group(call[3]) else { return reply.integer(0) }
        stream.remove(group)
        reply.integer(1)
        // Blocked reads of its consumers end with an error.
        signalReady(place)
    }

    private func changeConsumer(_ call: Call, _ stream: StreamValue?) {
        guard let group = stream?.group(call[3]) else { return reply.integer(0) }
        let member = group.member(call[4])
        if call.isWord(1, "CREATECONSUMER") {
            if member == nil { _ = group.addMember(call[4], now: time.wall) }
            reply.integer(member == nil ? 1 : 0)
        } else {
            reply.integer(member?.pending.count ?? 0)
            if let member { group.remove(member) }
        }
    }

    func xack(_ call: Call) throws(ReplyError) {
        guard let group = try stream(call)?.group(call[2]) else { return reply.integer(0) }
        let ids = try call.ids(3..<call.count)
        reply.integer(acknowledge(ids, in: group))
    }

    /// Acknowledges messages. Returns how many of them were pending.
    func acknowledge(_ ids: some Sequence<StreamID>, in group: MessageGroup) -> Int {
        var acknowledged = 0
        for id in ids {
            guard let message = group.pending.find(id) else { continue }
            group.remove(message)
            acknowledged += 1
        }
        return acknowledged
    }

    /// Returns the stream and the group that the first two arguments name.
    func group(_ call: Call) throws(ReplyError) -> (StreamValue, MessageGroup) {
        guard let stream = try stream(call), let group = stream.group(call[2]) else {
            throw .noGroup(call[1], call[2])
        }
        return (stream, group)
    }
}
