internal import NIOCore

/// Lets a warning about what goes on through once a minute at most. The first one is due at once.
struct WarningPace: Sendable {
    private static let interval = TimeAmount.minutes(1)

    private var last: NIODeadline?

    /// Whether a warning is due. If it is, this is the time of the last one from now on.
    mutating func isDue(now: NIODeadline) -> Bool {
        if let last, now < last + Self.interval { return false }
        last = now
        return true
    }
}
