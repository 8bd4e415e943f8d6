/// How many messages a consumer asks for in one read (`COUNT`).
///
/// The number grows while there is a backlog, up to a bound. It shrinks when messages are so large that a batch would
/// exceed its bytes, when a reply was too large for the connection, and when connections close during a read.
struct BatchSize {
    private let least: Int
    private let most: Int
    private let bytes: Int
    /// The number to ask for now.
    private(set) var count: Int
    /// The highest number to ask for, until `caution` more messages have arrived.
    private var ceiling: Int
    private var caution = 0
    /// How often the ceiling was lowered because connections closed.
    private var losses = 0

    /// - Parameters:
    ///   - counts: The number to ask for while there is no backlog, and the highest number.
    ///   - bytes: The most bytes that a batch should have. A single message may have more.
    init(_ counts: ClosedRange<Int>, bytes: Int) {
        least = counts.lowerBound
        most = counts.upperBound
        self.bytes = bytes
        count = least
        ceiling = most
    }

    /// A reply has arrived with `messages` messages, which have `received` bytes together.
    mutating func received(_ messages: Int, bytes received: Int) {
        guard messages > 0 else { return }
        caution -= messages
        if caution <= 0 { ceiling = most }
        let fitting = max(1, bytes / max(1, received / messages))
        // A full batch means that the stream has more.
        let wanted = messages >= count ? count * 2 : max(least, count / 2)
        count = max(1, min(wanted, ceiling, fitting))
    }

    /// A reply was too large. The next reads ask for its messages one by one, so a message that is too large by itself
    /// costs two refused replies in all. Returns `false` if the number is 1 already.
    mutating func tooLarge() -> Bool {
        guard count > 1 else { return false }
        caution = count
        lower(to: 1)
        return true
    }

    /// Connections closed while a batch was read. The next reads ask for half as many messages, and for more only after
    /// a while, which is longer each time. Returns `false` if the number is 1 already.
    mutating func connectionsEnded() -> Bool {
        guard count > 1 else { return false }
        losses = min(losses + 1, 10)
        lower(to: count / 2)
        caution = ceiling * (32 << losses)
        return true
    }

    private mutating func lower(to bound: Int) {
        ceiling = bound
        count = bound
    }
}
