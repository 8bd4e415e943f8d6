/// How many messages a consumer asks for at a time.
///
/// More while there is a backlog, up to a bound; fewer when messages are so large that the bytes of a batch would exceed
/// theirs, or when a reply was too large for the connection.
struct BatchSize {
    private let least: Int
    private let most: Int
    private let bytes: Int
    /// How many to ask for now.
    private(set) var count: Int
    /// Up to how many to ask for, until `caution` more messages have come.
    private var ceiling: Int
    private var caution = 0
    /// How often the ceiling was lowered because connections had ended.
    private var losses = 0

    /// - Parameters:
    ///   - counts: From how many, while there is no backlog, up to how many messages.
    ///   - bytes: How many bytes a batch should have at most. A single message may have more.
    init(_ counts: ClosedRange<Int>, bytes: Int) {
        least = counts.lowerBound
        most = counts.upperBound
        self.bytes = bytes
        count = least
        ceiling = most
    }

    /// A reply has come, with so many messages that take so many bytes.
    mutating func received(_ messages: Int, bytes received: Int) {
        guard messages > 0 else { return }
        caution -= messages
        if caution <= 0 { ceiling = most }
        let fitting = max(1, bytes / max(1, received / messages))
        // A full batch means that there is more.
        let wanted = messages >= count ? count * 2 : max(least, count / 2)
        count = max(1, min(wanted, ceiling, fitting))
    }

    /// A reply was too large. The messages of that reply are asked for one by one: whichever makes it too large costs two
    /// refused replies in all. Returns `false` if less cannot be asked for.
    mutating func tooLarge() -> Bool {
        guard count > 1 else { return false }
        caution = count
        lower(to: 1)
        return true
    }

    /// Connections have ended while a batch was read: half of it is asked for, and more only after a while, which is longer
    /// each time. Returns `false` if less cannot be asked for.
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
