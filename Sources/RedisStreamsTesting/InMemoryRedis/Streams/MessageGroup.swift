internal import DequeModule
internal import RedisStreams

/// A consumer of a group.
final class GroupMember {
    let name: Bytes
    /// The time of the last attempt to read or claim.
    var seenTime: Int
    /// The time of the last read or claimed message; -1 if there was none.
    var activeTime = -1
    var pending = PendingList()

    init(name: Bytes, now: Int) {
        self.name = name
        seenTime = now
    }
}

/// A consumer group.
final class MessageGroup {
    let name: Bytes
    /// The last id that the group has delivered. ``StreamValue/move(_:to:)`` sets it.
    var lastID: StreamID
    /// How many entries of the stream the group has read; `nil` if unknown.
    var entriesRead: Int?
    private(set) var pending = PendingList()
    /// The consumers, in the order of their names.
    private(set) var members: [GroupMember] = []

    init(name: Bytes, lastID: StreamID, entriesRead: Int?) {
        self.name = name
        self.lastID = lastID
        self.entriesRead = entriesRead
    }

    /// Returns a group with the same consumers and pending messages, which changes on its own.
    func copy() -> MessageGroup {
        let copy = MessageGroup(name: name, lastID: lastID, entriesRead: entriesRead)
        for member in members {
            copy.addMember(member.name, now: member.seenTime).activeTime = member.activeTime
        }
        for message in pending.messages {
            let message = PendingMessage(
                id: message.id,
                consumer: message.consumer.flatMap { copy.member($0.name) },
                deliveryTime: message.deliveryTime,
                deliveryCount: message.deliveryCount
            )
            copy.insert(message)
        }
        return copy
    }

    // MARK: Consumers

    func member(_ name: Bytes) -> GroupMember? {
        members.first { $0.name == name }
    }

    func addMember(_ name: Bytes, now: Int) -> GroupMember {
        let member = GroupMember(name: name, now: now)
        let position = members.firstIndex { Bytes.precedes(name, $0.name) } ?? members.count
        members.insert(member, at: position)
        return member
    }

    /// Removes a consumer and its pending messages.
    func remove(_ member: GroupMember) {
        for message in member.pending.messages { pending.remove(message.id) }
        members.removeAll { $0 === member }
    }

    // MARK: Pending messages

    func insert(_ message: PendingMessage) {
        pending.insert(message)
        message.consumer?.pending.insert(message)
    }

    func remove(_ message: PendingMessage) {
        pending.remove(message.id)
        message.consumer?.pending.remove(message.id)
    }

    func give(_ message: PendingMessage, to member: GroupMember) {
        guard message.consumer !== member else { return }
        message.consumer?.pending.remove(message.id)
        message.consumer = member
        member.pending.insert(message)
    }
}
