/// The commands of a consumer that are on their way on its connection, and the task that waits until none is.
///
/// - `idle`: nothing may begin.
/// - `running`: commands begin and end; each that ends may let others begin.
/// - `failed`: what is on its way ends, and nothing begins any more.
///
/// From `running` and `failed` it goes to `idle` when nothing is on its way, and the task goes on.
struct ReadsInFlight: ~Copyable {
    typealias Waiter = CheckedContinuation<RedisError?, Never>

    private var waiter: Waiter?
    private var failure: RedisError?
    private var count = 0
    private var isGoingOn = false

    /// Whether a command may begin.
    var isRunning: Bool { waiter != nil && failure == nil }

    /// Whether nothing is on its way.
    var isEmpty: Bool { count == 0 }

    /// Whether a task waits for what is on its way.
    var isWaiting: Bool { waiter != nil }

    /// A task waits until nothing is on its way.
    mutating func run(_ waiter: Waiter) {
        self.waiter = waiter
        failure = nil
    }

    /// A command begins.
    mutating func began() { count += 1 }

    /// A command has ended.
    mutating func ended() { count -= 1 }

    /// Nothing more begins, because of `error`.
    mutating func failed(_ error: RedisError) { failure = failure ?? error }

    /// Whether somebody has to see to it that others begin: not if somebody does already.
    mutating func mayGoOn() -> Bool {
        defer { isGoingOn = true }
        return !isGoingOn
    }

    /// Others may begin now.
    mutating func goesOn() { isGoingOn = false }

    /// Takes the waiter out if nothing is on its way, with the first failure.
    mutating func takeFinished() -> (Waiter, RedisError?)? {
        guard count == 0, let waiter = waiter.take() else { return nil }
        return (waiter, failure.take())
    }
}
