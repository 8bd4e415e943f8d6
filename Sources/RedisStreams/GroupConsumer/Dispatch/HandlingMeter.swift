internal import NIOCore
internal import Synchronization

/// Measures how long handlers take: each message while handlers are slow, otherwise some of them, since reading the
/// clock costs time. For one loop or worker at a time.
final class HandlingMeter: Sendable {
    /// When the handler began, in nanoseconds; zero if this time is not measured.
    private let began = Atomic<UInt64>(0)
    /// How many of the next messages are not measured.
    private let unmeasured = Atomic(0)

    var isDue: Bool { unmeasured.load(ordering: .relaxed) == 0 }

    /// The handler of a message begins, at `time` if the clock was read.
    func begin(at time: NIODeadline?) {
        began.store(isDue ? time?.uptimeNanoseconds ?? 0 : 0, ordering: .relaxed)
    }

    /// The handler of the message has ended.
    func end(_ dispatcher: Dispatcher) {
        let left = unmeasured.load(ordering: .relaxed)
        if left > 0 { return unmeasured.store(left - 1, ordering: .relaxed) }
        let time = began.load(ordering: .relaxed)
        if time == 0 { return }
        let measuresEach = dispatcher.measured(since: .uptimeNanoseconds(time))
        unmeasured.store(measuresEach ? 0 : PrefetchBudget.skipped, ordering: .relaxed)
    }
}
