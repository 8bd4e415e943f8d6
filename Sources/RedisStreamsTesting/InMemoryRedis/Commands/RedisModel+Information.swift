internal import RedisStreams

/// `XINFO`.
extension RedisModel {
    func xinfo(_ call: Call) throws(ReplyError) {
        if call.isWord(1, "HELP") { return help(HelpText.xinfo(version)) }
        guard call.count >= 3 else { throw subcommandSyntax(call) }
        guard let stream = try stream(call, 2) else { throw .noSuchKey }
        if call.isWord(1, "CONSUMERS"), call.count == 4 {
            guard let group = stream.group(call[3]) else { throw .noGroupForKey(call[2], call[3]) }
            consumersInfo(group)
        } else if call.isWord(1, "GROUPS"), call.count == 3 {
            reply.array(stream.groups.count)
            for group in stream.groups { groupInfo(group, of: stream) }
        } else if call.isWord(1, "STREAM") {
            try streamInfo(call, stream)
        } else {
            throw subcommandSyntax(call)
        }
    }

    private func consumersInfo(_ group: MessageGroup) {
        reply.array(group.members.count)
        for member in group.members {
            reply.map(version.isAtLeast7_2 ? 4 : 3)
            reply.bulk("name")
            reply.bulk(member.name)
            named("pending", member.pending.count)
            named("idle", max(0, time.wall - member.seenTime))
            if version.isAtLeast7_2 {
                named("inactive", member.activeTime < 0 ? -1 : time.wall - member.activeTime)
            }
        }
    }

    private func groupInfo(_ group: MessageGroup, of stream: StreamValue) {
        reply.map(version.isAtLeast7_0 ? 6 : 4)
        reply.bulk("name")
        reply.bulk(group.name)
        named("consumers", group.members.count)
        named("pending", group.pending.count)
        named("last-delivered-id", group.lastID)
        if version.isAtLeast7_0 { progress(group, of: stream) }
    }

    private func progress(_ group: MessageGroup, of stream: StreamValue) {
        named("entries-read", group.entriesRead)
        named("lag", stream.lag(of: group, version))
    }

    private func named(_ name: String, _ value: Int?) {
        reply.bulk(name)
        if let value { reply.integer(value) } else { reply.null() }
    }

    private func named(_ name: String, _ id: StreamID) {
        reply.bulk(name)
        reply.bulk(id)
    }

    // MARK: STREAM

    private func streamInfo(_ call: Call, _ stream: StreamValue) throws(ReplyError) {
        var fullCount: Int?
        if call.count > 3 {
            guard call.count == 4 || call.count == 6, call.isWord(3, "FULL") else { throw subcommandSyntax(call) }
            fullCount = 10
            if call.count == 6 {
                guard call.isWord(4, "COUNT") else { throw subcommandSyntax(call) }
                let count = try call.integer(5)
                fullCount = count < 0 ? 10 : count
            }
        }
        let details = version.isAtLeast7_0 ? 7 : 4
        reply.map(details + (fullCount == nil ? 3 : 2))
        named("length", stream.count)
        named("radix-tree-keys", stream.nodes.count)
        named("radix-tree-nodes", RadixTree.nodeCount(stream.nodes.map(\.firstID)))
        named("last-generated-id", stream.lastID)
        if version.isAtLeast7_0 {
            named("max-deleted-entry-id", stream.maxDeletedID)
            named("entries-added", stream.entriesAdded)
            named("recorded-first-entry-id", stream.firstID)
        }
        if let fullCount { return fullInfo(stream, count: fullCount) }
        named("groups", stream.groups.count)
        named("first-entry", stream.firstEntry)
        named("last-entry", stream.lastEntry)
    }

    private func named(_ name: String, _ entry: StreamEntry?) {
        reply.bulk(name)
        if let entry { reply.raw(entry.encoded) } else { reply.null() }
    }

    private func fullInfo(_ stream: StreamValue, count: Int) {
        reply.bulk("entries")
        read(stream, from: .zero, count: count, nil, into: &reply)
        reply.bulk("groups")
        reply.array(stream.groups.count)
        for group in stream.groups {
            reply.map(version.isAtLeast7_0 ? 7 : 5)
            reply.bulk("name")
            reply.bulk(group.name)
            named("last-delivered-id", group.lastID)
            if version.isAtLeast7_0 { progress(group, of: stream) }
            named("pel-count", group.pending.count)
            pending(group.pending, count: count, withConsumer: true)
            reply.bulk("consumers")
            reply.array(group.members.count)
            for member in group.members { fullInfo(member, count: count) }
        }
    }

    private func fullInfo(_ member: GroupMember, count: Int) {
        reply.map(version.isAtLeast7_2 ? 5 : 4)
        reply.bulk("name")
        reply.bulk(member.name)
        named("seen-time", member.seenTime)
        if version.isAtLeast7_2 { named("active-time", member.activeTime) }
        named("pel-count", member.pending.count)
        pending(member.pending, count: count, withConsumer: false)
    }

    private func pending(_ list: PendingList, count: Int, withConsumer: Bool) {
        reply.bulk("pending")
        let messages = count == 0 ? list.messages[...] : list.messages.prefix(count)
        reply.array(messages.count)
        for message in messages {
            reply.array(withConsumer ? 4 : 3)
            reply.bulk(message.id)
            if withConsumer { reply.bulk(message.consumer?.name ?? []) }
            reply.integer(message.deliveryTime)
            reply.integer(message.deliveryCount)
        }
    }
}
