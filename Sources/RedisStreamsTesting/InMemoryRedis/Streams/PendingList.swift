internal import DequeModule
internal import RedisStreams

/// A message that was delivered to a consumer and not acknowledged yet.
final class PendingMessage {
    let id: StreamID
    /// The owner; `nil` only while `XCLAIM … FORCE` creates the message.
    var consumer: GroupMember?
    /// The time of the last delivery, in milliseconds since 1970.
    var deliveryTime: Int
    /// How often the message was delivered. It overflows as the server's counter does.
    var deliveryCount: Int

    init(id: StreamID, consumer: GroupMember?, deliveryTime: Int, deliveryCount: Int = 1) {
        self.id = id
        self.consumer = consumer
        self.deliveryTime = deliveryTime
        self.deliveryCount = deliveryCount
    }
}

/// Pending messages in the order of their ids.
struct PendingList {
    /// A deque, since messages are usually added at the end and acknowledged near the beginning.
    private(set) var messages: Deque<PendingMessage> = []

    var count: Int { messages.count }
    var isEmpty: Bool { messages.isEmpty }

    subscript(position: Int) -> PendingMessage { messages[position] }

    /// Returns the position of the first message that is not below `id`.
    func lowerBound(_ id: StreamID) -> Int {
        if let first = messages.first, id <= first.id { return 0 }
        var (low, high) = (0, messages.count)
        while low < high {
            let middle = (low + high) / 2
            if messages[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func find(_ id: StreamID) -> PendingMessage? {
        let position = lowerBound(id)
        return position < messages.count && messages[position].id == id ? messages[position] : nil
    }

    mutating func insert(_ message: PendingMessage) {
        guard let last = messages.last, message.id < last.id else { return messages.append(message) }
        messages.insert(message, at: lowerBound(message.id))
    }

    mutating func remove(_ id: StreamID) {
        let position = lowerBound(id)
        if position < messages.count, messages[position].id == id { messages.remove(at: position) }
    }
}
