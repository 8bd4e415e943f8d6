/// The commands of a consumer that are in flight on its connection, and the task that waits until none is.
///
/// - `idle`: no command may start. Goes to `running` when a task waits.
/// - `running`: commands start and end; each that ends may let others start. Goes to `failed` after a failure.
/// - `failed`: commands end, and no command may start.
///
/// `running` and `failed` go to `idle` when no command is in flight, which resumes the task.
struct ReadsInFlight: ~Copyable {
    typealias Waiter = CheckedContinuation<RedisError?, Never>

    private var waiter: Waiter?
    private var failure: RedisError?
    private var count = 0
    /// Whether the owner has scheduled the next reads.
    private var isScheduled = false

    /// Whether a command may start.
    var isRunning: Bool { waiter != nil && failure == nil }

    /// Whether no command is in flight.
    var isEmpty: Bool { count == 0 }

    /// Whether a task waits until no command is in flight.
    var isWaiting: Bool { waiter != nil }

    /// A task waits until no command is in flight.
    mutating func run(_ waiter: Waiter) {
        self.waiter = waiter
        failure = nil
    }

    /// A command has started.
    mutating func began() { count += 1 }

    /// A command has ended.
    mutating func ended() { count -= 1 }

    /// No command may start any more, because of `error`. Only the first failure counts.
    mutating func failed(_ error: RedisError) { failure = failure ?? error }

    /// Returns whether the owner has to schedule the next reads: `false` if it has done so already.
    mutating func shouldSchedule() -> Bool {
        defer { isScheduled = true }
        return !isScheduled
    }

    /// The scheduled reads start now.
    mutating func scheduledBegins() { isScheduled = false }

    /// If no command is in flight, removes and returns the waiter and the first failure.
    mutating func takeFinished() -> (Waiter, RedisError?)? {
        guard count == 0, let waiter = waiter.take() else { return nil }
        return (waiter, failure.take())
    }
}
