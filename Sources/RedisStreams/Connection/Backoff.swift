/// How long to wait before trying again: exponentially longer, with full jitter, so that many clients that lost the same
/// server do not come back in step.
///
/// Source: [Exponential backoff and jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
public struct Backoff: Sendable, Hashable {
    /// The upper bound of the first delay. Default: 50 ms.
    public var base: Duration = .milliseconds(50)

    /// The upper bound of every delay. Default: 5 s.
    public var limit: Duration = .seconds(5)

    /// 50 ms, doubled with each attempt, up to 5 s.
    public init() {}

    /// The delay before attempt number `attempt`, counted from 1.
    ///
    /// - Parameter jitter: A random number from 0 to 1.
    func delay(attempt: Int, jitter: Double) -> Duration {
        var bound = base
        for _ in 1..<max(2, min(attempt, 32)) where bound < limit { bound *= 2 }
        if attempt <= 1 { bound = base }
        return min(bound, limit) * jitter
    }

    /// The delay before attempt number `attempt` after `error`. A server that refuses, for lack of memory or of
    /// replicas, still refuses after milliseconds, and each attempt costs it several commands from each consumer: then the delay
    /// is half a second at least.
    func delay(attempt: Int, jitter: Double, after error: RedisError) -> Duration {
        let delay = delay(attempt: attempt, jitter: jitter)
        return error.isRefusal ? max(delay, min(limit, .seconds(1)) * (0.5 + jitter / 2)) : delay
    }

    func validate() throws(RedisError) {
        guard base > .zero, limit >= base, limit <= .seconds(3600) else {
            throw RedisError(.invalidConfiguration, "The backoff needs 0 < base <= limit <= 1 h.")
        }
    }
}

extension RedisError {
    /// Whether the server answers, and refuses in its present state.
    fileprivate var isRefusal: Bool {
        [.busy, .loading, .misconfigured, .noReplicas, .outOfMemory, .readOnly, .masterDown, .tooManyClients].contains(
            code
        )
    }
}
