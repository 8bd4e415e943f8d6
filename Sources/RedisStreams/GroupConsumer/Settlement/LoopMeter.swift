internal import NIOCore
internal import Synchronization

/// Measures how long the body of a loop takes, from one message to the asking for the next: each time while it is slow, else
/// now and then. For one reader at a time.
final class LoopMeter: Sendable {
    /// When the body began, in nanoseconds; zero if that is not measured.
    private let began = Atomic<UInt64>(0)
    /// How many times more it is not measured.
    private let unmeasured = Atomic(0)

    var isDue: Bool { unmeasured.load(ordering: .relaxed) == 0 }

    /// A message is handed out, at this time if somebody has looked at the clock.
    func begin(at time: NIODeadline?) {
        began.store(isDue ? time?.uptimeNanoseconds ?? 0 : 0, ordering: .relaxed)
    }

    /// It has been handled.
    func end(_ session: GroupSession) {
        let left = unmeasured.load(ordering: .relaxed)
        if left > 0 { return unmeasured.store(left - 1, ordering: .relaxed) }
        let time = began.load(ordering: .relaxed)
        if time == 0 { return }
        let measuresEach = session.handled(since: .uptimeNanoseconds(time))
        unmeasured.store(measuresEach ? 0 : PrefetchBudget.skipped, ordering: .relaxed)
    }
}
