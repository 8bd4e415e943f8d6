internal import NIOCore

/// What becomes of messages on the server, once their disposition is decided here.
enum Settlement: Sendable {
    /// They are done with. `isProven` says that they are this consumer's beyond doubt; else a script looks first.
    case acknowledge([StreamID], isProven: Bool)
    /// They stay pending, to be delivered again.
    case requeue([Requeue])
    /// It is done with, and entries come of it.
    case publish(Publication)

    var ids: [StreamID] {
        switch self {
        case .acknowledge(let ids, _): ids
        case .requeue(let entries): entries.map(\.id)
        case .publish(let publication): [publication.id]
        }
    }
}

/// A message that stays pending, to be delivered again.
struct Requeue: Sendable, Hashable {
    let id: StreamID
    /// What the server is to count.
    let count: DeliveryCount
    /// When it is to be delivered again; `nil` for at once, and not by this consumer in particular.
    let due: NIODeadline?
}

extension Requeue {
    /// A message that is given back, by somebody who is well.
    init(returning id: StreamID, _ count: DeliveryCount) {
        self.init(id: id, count: count.returned, due: nil)
    }
}

/// Entries that come of a message, which are added in the step in which it is acknowledged.
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
    /// Why the message is given up, if this is its dead letter.
    var deadLetterReason: DeadLetterReason?
    /// Whether it was sent before, and the reply was lost.
    var mayBeDone = false
    /// What to do if the server refuses the outputs.
    var count = DeliveryCount.first
}

/// A settlement that was sent and has no reply yet.
struct SentSettlement: Sendable {
    let number: Int
    let settlement: Settlement
    /// Until when it is beyond doubt that the messages are this consumer's; later, a script has to look.
    var fencingDeadline = NIODeadline.distantFuture
}
