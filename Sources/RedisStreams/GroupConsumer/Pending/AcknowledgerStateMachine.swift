/// Decides how and when the outcomes of messages are sent. Free of I/O and clocks; the lock of `PendingMessages` guards
/// it, since handlers decide outcomes on any thread and have to know whether they must wake the acknowledger.
///
/// There are three ways, the cheapest first:
///
/// - *covered by the next read*: while reads follow each other, the reader sends queued outcomes before the next one.
/// - *coalescing*: a timer of a millisecond runs; when it fires, the acknowledger sends what is queued on a shared
///   connection.
/// - *slow path*: a task waits for a connection, and tries again after failures.
///
/// The first two are independent of each other: reads may begin and end while the timer runs.
struct AcknowledgerStateMachine {
    private var isCoalescing = false
    private(set) var isCoveredByRead = false
    private var isSlowPathWoken = false

    private var isCoalescingOrCovered: Bool { isCoalescing || isCoveredByRead }

    /// An outcome was queued. Returns whether to wake the acknowledger: only for the first outcome, and only if neither
    /// a read nor the timer will send it.
    func mustWake(hadQueued: Bool) -> Bool { !hadQueued && !isCoalescingOrCovered }

    /// The timer begins to run. Returns `false` if it runs already.
    mutating func beginCoalescing() -> Bool {
        defer { isCoalescing = true }
        return !isCoalescing
    }

    /// The timer has fired, or there is nothing to wait for. Returns whether to wake the acknowledger for queued
    /// outcomes.
    mutating func endCoalescing(hasQueued: Bool) -> Bool {
        defer { isCoalescing = false }
        return isCoalescing && !isCoveredByRead && hasQueued && !isSlowPathWoken
    }

    /// Reads begin or cease to follow each other. Returns whether to wake the acknowledger for queued outcomes.
    mutating func setCoveredByRead(_ isCovered: Bool, hasQueued: Bool) -> Bool {
        defer { isCoveredByRead = isCovered }
        return isCoveredByRead && !isCovered && !isCoalescing && hasQueued && !isSlowPathWoken
    }

    /// Queued settlements cannot be sent at once, or one has failed.
    mutating func wakeSlowPath() { isSlowPathWoken = true }

    /// Returns whether the slow path was woken since the last call.
    mutating func takeSlowPathWake() -> Bool {
        defer { isSlowPathWoken = false }
        return isSlowPathWoken
    }
}
