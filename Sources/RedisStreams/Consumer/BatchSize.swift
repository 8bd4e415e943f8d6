/// How many messages a consumer asks for at a time.
///
/// More while there is a backlog, up to a bound; fewer when messages are so large that the bytes of a batch would exceed
/// theirs, or when a reply was too large for the connection.
struct BatchSize {
    private let least: Int
    private var most: Int
    private let bytes: Int
    /// How many to ask for now.
    private(set) var count: Int

    /// - Parameters:
    ///   - counts: From how many, while there is no backlog, up to how many messages.
    ///   - bytes: How many bytes a batch should have at most. A single message may have more.
    init(_ counts: ClosedRange<Int>, bytes: Int) {
        least = counts.lowerBound
        most = counts.upperBound
        self.bytes = bytes
        count = least
    }

    /// A reply has come, with so many messages that take so many bytes.
    mutating func received(_ messages: Int, bytes received: Int) {
        guard messages > 0 else { return }
        let fitting = max(1, bytes / max(1, received / messages))
        // A full batch means that there is more.
        let wanted = messages >= count ? count * 2 : max(least, count / 2)
        count = max(1, min(wanted, most, fitting))
    }

    /// A reply was too large. Returns `false` if less cannot be asked for.
    mutating func tooLarge() -> Bool {
        guard count > 1 else { return false }
        count /= 2
        most = count
        return true
    }
}
