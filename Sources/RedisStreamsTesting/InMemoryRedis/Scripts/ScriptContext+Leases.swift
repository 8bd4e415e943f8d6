internal import RedisStreams

/// The scripts that check the owner of messages.
extension ScriptContext {
    /// Splits the ids from a position on into those that are pending for the consumer, and the others.
    private func owned(_ subject: Subject) throws(ReplyError) -> (mine: [StreamID], others: [StreamID]) {
        var (mine, others): ([StreamID], [StreamID]) = ([], [])
        for position in 2..<max(2, arguments.count) {
            let id = try id(position)
            if subject.isMine(id) { mine.append(id) } else { others.append(id) }
        }
        return (mine, others)
    }

    func renew() throws(ReplyError) {
        let subject = try subject()
        let (mine, others) = try owned(subject)
        let claim = RedisModel.Claim(deliveryTime: model.time.wall, isIDOnly: true)
        let deleted = mine.filter {
            !model.claim($0, claim, of: subject.stream, subject.group, for: subject.consumer)
        }
        model.reply.array(3)
        write(others)
        write(deleted)
        let asked = others.prefix(100)
        model.reply.array(asked.count)
        for id in asked { model.reply.bulk(subject.group.pending.find(id)?.consumer?.name ?? []) }
    }

    func acknowledge() throws(ReplyError) {
        let subject = try subject()
        model.reply.integer(model.acknowledge(try owned(subject).mine, in: subject.group))
    }

    func requeue() throws(ReplyError) {
        let subject = try subject()
        var others: [StreamID] = []
        for position in stride(from: 2, to: arguments.count, by: 3) {
            let id = try id(position)
            guard subject.isMine(id) else {
                others.append(id)
                continue
            }
            var claim = RedisModel.Claim(deliveryTime: model.time.wall, isIDOnly: true)
            if let idle = number(position + 1), idle >= 0, idle <= model.time.wall {
                claim.deliveryTime = model.time.wall - idle
            }
            claim.deliveryCount = number(position + 2)
            _ = model.claim(id, claim, of: subject.stream, subject.group, for: subject.consumer)
        }
        write(others)
    }

    func reclaim() throws(ReplyError) {
        let subject = try subject()
        let mode = arguments[2]
        model.reply.array(2)
        let mark = model.reply.mark
        var entries = 0
        var states: [(id: StreamID, count: Int, state: Int)] = []
        for position in 3..<max(3, arguments.count) {
            let id = try id(position)
            guard let message = subject.pending(id) else { continue }
            // Lua counts in floating point, so the script limits the count.
            var count = min(message.deliveryCount, 9_007_199_254_740_000)
            if mode == Bytes("uncrashed"), count % 1000 > 0 {
                states.append((id, count, 0))
                continue
            }
            let isSecond = count % 1000 == 1
            if mode != Bytes("counted") || count % 1000 == 0 { count += mode == Bytes("alone") && isSecond ? 2 : 1 }
            let isThere = reclaim(id, count: count, subject)
            if isThere { entries += 1 }
            states.append((id, count, isThere ? 1 : -1))
        }
        model.reply.array(entries, from: mark)
        model.reply.array(3 * states.count)
        for (id, count, state) in states {
            model.reply.bulk(id)
            model.reply.integer(count)
            model.reply.integer(state)
        }
    }

    /// Claims the message for the consumer, and writes its entry. Returns whether the entry exists.
    private func reclaim(_ id: StreamID, count: Int, _ subject: Subject) -> Bool {
        let claim = RedisModel.Claim(deliveryTime: model.time.wall, deliveryCount: count)
        let entry = subject.stream.entry(id)
        _ = model.claim(id, claim, of: subject.stream, subject.group, for: subject.consumer)
        if let entry { model.reply.raw(entry.encoded) }
        return entry != nil
    }
}
