/// How long a message waits after its handler has failed, before it is handled again.
///
/// The server keeps the time in the group's pending list, as the idle time of the message, so that any consumer of the
/// group can claim the message when the time is over, and there is no second queue. A time beyond the lease is kept by
/// the consumer whose handler failed; if that consumer dies or ends, the message is handled again within a lease.
public struct RetryPolicy: Sendable, Hashable {
    private enum Kind: Hashable {
        case fixed(Duration)
        case exponential(from: Duration, upTo: Duration)
    }

    private let kind: Kind

    /// Without a delay.
    public static let immediately = RetryPolicy(kind: .fixed(.zero))

    /// After the same time each time.
    public static func fixed(_ delay: Duration) -> RetryPolicy { RetryPolicy(kind: .fixed(delay)) }

    /// After a time that doubles with each failure, from `first` up to `limit`. The consumer subtracts a random part of
    /// it, up to a half, so that messages that failed together are not retried together.
    public static func exponential(
        from first: Duration = .seconds(1),
        upTo limit: Duration = .seconds(300)
    ) -> RetryPolicy {
        RetryPolicy(kind: .exponential(from: first, upTo: limit))
    }

    /// The time after this number of failures, from 1 on.
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
            throw RedisError(
                .invalidConfiguration,
                "The times of a retry policy must be 30 days at most, and `from` positive and at most `upTo`."
            )
        }
    }
}

/// A handler throws it to report a failure, and to choose when the message is handled again.
public struct Retry: Error, Sendable, Hashable {
    /// How long to wait; `nil` for the time of the retry policy.
    public var delay: Duration?

    /// Handles the message again after this time. Negative times count as zero.
    public init(after delay: Duration? = nil) {
        self.delay = delay.map { max(.zero, min($0, .seconds(30 * 86_400))) }
    }
}

/// A handler throws it to report that its message can never be handled. The message becomes a dead letter at once, or
/// is acknowledged if there is no stream for dead letters.
public struct Reject: Error, Sendable, Hashable {
    /// Why, in a few words. The dead letter, the event and the log contain it, cut to 1,000 bytes.
    public var reason: String

    /// Rejects the message.
    public init(_ reason: String) {
        self.reason = reason
    }
}
