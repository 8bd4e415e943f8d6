/// How long a message waits after its handler has failed, before it is handled again.
///
/// The time is kept in the group's pending list, as the time for which the message counts as idle, so that any consumer of
/// the group takes it up when it is over, and there is no second queue. A time beyond the lease is kept by the consumer
/// whose handler failed; if that dies, or ends, the message is handled again within a lease.
public struct RetryPolicy: Sendable, Hashable {
    private enum Kind: Hashable {
        case fixed(Duration)
        case exponential(from: Duration, upTo: Duration)
    }

    private let kind: Kind

    /// At once.
    public static let immediately = RetryPolicy(kind: .fixed(.zero))

    /// After the same time, always.
    public static func fixed(_ delay: Duration) -> RetryPolicy { RetryPolicy(kind: .fixed(delay)) }

    /// After a time that doubles with each failure, from `first` up to `limit`. A random part of it, up to the half, is left
    /// out, so that what failed together is not tried again together.
    public static func exponential(
        from first: Duration = .seconds(1),
        upTo limit: Duration = .seconds(300)
    ) -> RetryPolicy {
        RetryPolicy(kind: .exponential(from: first, upTo: limit))
    }

    /// The time after so many failures, from 1 on.
    ///
    /// - Parameter jitter: A random number from 0 to 1.
    func delay(failures: Int, jitter: Double) -> Duration {
        switch kind {
        case .fixed(let delay): return delay
        case .exponential(let first, let limit):
            var bound = first
            for _ in 1..<max(2, min(failures, 64)) where failures > 1 && bound < limit { bound *= 2 }
            return min(bound, limit) * (1 - jitter / 2)
        }
    }

    func validate() throws(RedisError) {
        let isValid =
            switch kind {
            case .fixed(let delay): delay >= .zero && delay <= .seconds(30 * 86_400)
            case .exponential(let first, let limit): first > .zero && first <= limit && limit <= .seconds(30 * 86_400)
            }
        guard isValid else {
            throw RedisError(.invalidConfiguration, "The times of a retry policy must ascend, and be 30 days at most.")
        }
    }
}

/// Thrown by a handler: the message failed, and is to be handled again after a time of the handler's choice.
public struct Retry: Error, Sendable, Hashable {
    /// How long to wait; `nil` for what the policy says.
    public var delay: Duration?

    /// Handles the message again after this time. Negative times count as zero.
    public init(after delay: Duration? = nil) {
        self.delay = delay.map { max(.zero, min($0, .seconds(30 * 86_400))) }
    }
}

/// Thrown by a handler: the message can never be handled. It goes to the stream of dead letters at once, or is
/// acknowledged if there is none.
public struct Reject: Error, Sendable, Hashable {
    /// Why, in a few words. It stands in the dead letter, in the event and in the log, where it is cut to 1,000 bytes.
    public var reason: String

    /// Refuses the message.
    public init(_ reason: String) {
        self.reason = reason
    }
}
