internal import RedisStreams

/// `XPENDING`.
extension RedisModel {
    func xpending(_ call: Call) throws(ReplyError) {
        guard call.count == 3 || (6...9).contains(call.count) else { throw .syntax }
        if call.count == 3 { return pendingSummary(try group(call).1) }
        var first = 3
        var idle = 0
        if call.isWord(3, "IDLE") {
            idle = try call.integer(4)
            guard call.count >= 8 else { throw .syntax }
            first = 5
        }
        let count = max(0, try call.integer(first + 2))
        let start = try call.rangeStart(first)
        let end = try call.rangeEnd(first + 1)
        let (_, group) = try group(call)
        let list: PendingList
        if first + 3 < call.count {
            guard let member = group.member(call[first + 3]) else { return reply.array(0) }
            list = member.pending
        } else {
            list = group.pending
        }
        writePending(list, start: start, end: end, count: count, idle: idle)
    }

    private func pendingSummary(_ group: MessageGroup) {
        reply.array(4)
        reply.integer(group.pending.count)
        guard let first = group.pending.messages.first, let last = group.pending.messages.last else {
            reply.null()
            reply.null()
            return reply.nullArray()
        }
        reply.bulk(first.id)
        reply.bulk(last.id)
        let members = group.members.filter { !$0.pending.isEmpty }
        reply.array(members.count)
        for member in members {
            reply.array(2)
            reply.bulk(member.name)
            reply.bulk(number: member.pending.count)
        }
    }

    private func writePending(_ list: PendingList, start: StreamID, end: StreamID, count: Int, idle: Int) {
        let mark = reply.mark
        var found = 0
        var position = list.lowerBound(start)
        while found < count, position < list.count, list[position].id <= end {
            let message = list[position]
            position += 1
            let elapsed = time.wall - message.deliveryTime
            if idle != 0, elapsed < idle { continue }
            reply.array(4)
            reply.bulk(message.id)
            reply.bulk(message.consumer?.name ?? [])
            reply.integer(max(0, elapsed))
            reply.integer(message.deliveryCount)
            found += 1
        }
        reply.array(found, from: mark)
    }
}
