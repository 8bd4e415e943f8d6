internal import NIOCore

/// The outcome of messages, as a command tells it to the server.
enum Settlement: Sendable {
    /// They were handled. With `isCertain` this consumer certainly owns them, and a plain `XACK` suffices; otherwise a
    /// script checks the owner first.
    case acknowledge([StreamID], isCertain: Bool)
    /// They stay pending, and are delivered again.
    case requeue([Requeue])
    /// The server adds entries and acknowledges a message, in one step.
    case publish(Publication)

    var ids: [StreamID] {
        switch self {
        case .acknowledge(let ids, _): ids
        case .requeue(let entries): entries.map(\.id)
        case .publish(let publication): [publication.id]
        }
    }
}

/// A message that stays pending, and is delivered again.
struct Requeue: Sendable, Hashable {
    let id: StreamID
    /// The delivery count that the server is to keep.
    let count: DeliveryCount
    /// When it is to be delivered again; `nil` for at once, to the first consumer of the group that claims it.
    let due: NIODeadline?
}

extension Requeue {
    /// A message that this consumer returns to the group without having handled it. Its process did not crash, so that
    /// the delivery does not count.
    init(returning id: StreamID, _ count: DeliveryCount) {
        self.init(id: id, count: count.returned, due: nil)
    }
}

/// Entries to add with the acknowledgement of a message. A script does both in one step.
struct Publication: Sendable {
    /// An entry to add.
    struct Output: Sendable {
        /// The most fields that a script can add in one entry: Lua puts no more than 8,000 values on its stack.
        static let maxFields = 3_900

        let stream: StreamKey
        let maxLength: Int?
        /// Names and values, in turn.
        let fields: [FieldValue]
    }

    let id: StreamID
    let outputs: [Output]
    /// Why the message is dead-lettered, if the output is its dead letter entry.
    var deadLetterReason: DeadLetterReason?
    /// Whether it was sent before and its reply was lost, so that the server may have executed it.
    var mayHaveExecuted = false
    /// The delivery count of the message, for the case that the server refuses the outputs.
    var count = DeliveryCount.first
}

/// A settlement that was sent and has no reply yet.
struct SentSettlement: Sendable {
    let number: Int
    /// The epoch of the group that it belongs to.
    let epoch: Int
    let settlement: Settlement
    /// Until when this consumer certainly owns the messages; after that, a script has to check the owner.
    var fencingDeadline = NIODeadline.distantFuture
}
