internal import RedisStreams

/// The scripts that remove consumers from a group.
extension ScriptContext {
    private static let pageSize = 500

    func deregister() throws(ReplyError) {
        let subject = try subject()
        let other = arguments[2]
        var deleted: [StreamID] = []
        if !arguments[4].isEmpty {
            let page = pending(of: subject).prefix(Self.pageSize)
            for message in page { transfer(message, to: other, subject, &deleted) }
            if page.count == Self.pageSize, let last = page.last { return writeDeregistration(false, last.id, deleted) }
        }
        if let member = subject.member, !member.pending.isEmpty { return writeDeregistration(false, nil, deleted) }
        let isSeen = subject.group.members.contains {
            $0 !== subject.member && idle($0) <= number(3) ?? 0
        }
        if !isSeen {
            let member = subject.group.member(other)
            if let first = member?.pending.messages.first {
                transfer(first, to: other, subject, &deleted)
            } else {
                if let member { subject.group.remove(member) }
                _ = subject.group.addMember(other, now: model.time.wall)
            }
        }
        if let member = subject.member { subject.group.remove(member) }
        writeDeregistration(true, nil, deleted)
    }

    /// The messages that are pending for the consumer, after the id in the arguments.
    private func pending(of subject: Subject) -> [PendingMessage] {
        let messages = subject.member.map { Array($0.pending.messages) } ?? []
        let start = arguments[4].text
        guard start.hasPrefix("("), let last = StreamID(Bytes(String(start.dropFirst())), sequence: 0, isStrict: true)
        else { return messages }
        return messages.filter { $0.id > last }
    }

    private func transfer(
        _ message: PendingMessage,
        to other: Bytes,
        _ subject: Subject,
        _ deleted: inout [StreamID]
    ) {
        let claim = RedisModel.Claim(deliveryTime: min(message.deliveryTime, model.time.wall), isIDOnly: true)
        let id = message.id
        // Since 7.2 the server creates a consumer even when the command brings it no message.
        if model.version.isAtLeast7_2 { _ = model.seen(other, in: subject.group) }
        if !model.claim(id, claim, of: subject.stream, subject.group, for: other) { deleted.append(id) }
    }

    private func writeDeregistration(_ isRemoved: Bool, _ last: StreamID?, _ deleted: [StreamID]) {
        model.reply.array(3)
        model.reply.integer(isRemoved ? 1 : 0)
        if let last { model.reply.bulk(last) } else { model.reply.bulk("") }
        write(deleted)
    }

    private func idle(_ member: GroupMember) -> Int { max(0, model.time.wall - member.seenTime) }

    func removeNames() throws(ReplyError) {
        let subject = try subject()
        let members = subject.group.members
        let maxIdle = number(2) ?? 0
        let candidates = Set(arguments.dropFirst(5))
        let last = subject.member == nil ? members.min { idle($0) < idle($1) } : nil
        let removed = members.filter { member in
            member.pending.isEmpty && member !== subject.member && member !== last
                && (idle(member) >= maxIdle || member.name == arguments[4]) && member.name.starts(with: arguments[3])
                && (candidates.isEmpty || candidates.contains(member.name))
        }.prefix(1000)
        for member in removed { subject.group.remove(member) }
        model.reply.array(2)
        model.reply.array(removed.count)
        for member in removed { model.reply.bulk(member.name) }
        model.reply.integer(members.count { idle($0) < maxIdle })
    }
}
