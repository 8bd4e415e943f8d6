/// What came of a case.
struct Outcome: Sendable {
    /// How many messages, rounds or cancellations there were.
    var tried = 0
    /// How many faults happened.
    var fired = 0
    /// How many faults had to happen.
    var planned = 0
    /// Confirmed messages that nobody handled.
    var lost = 0
    /// Messages that were handled again; where that is what is looked for, at the same time.
    var duplicated = 0
    /// The longest time from a fault, or from the end of its cause, until things went on.
    var slowestRecovery: Duration?
    /// What is worth knowing besides.
    var notes: [String] = []
    /// Why it is not as it must be.
    var problems: [String] = []

    mutating func recovered(in time: Duration) {
        slowestRecovery = max(slowestRecovery ?? .zero, time)
    }

    /// Demands that something holds.
    mutating func demand(_ holds: Bool, _ problem: String) {
        if !holds { problems.append(problem) }
    }

    /// Adds what came of a part of the case.
    mutating func add(_ part: Outcome) {
        tried += part.tried
        fired += part.fired
        planned += part.planned
        lost += part.lost
        duplicated += part.duplicated
        if let time = part.slowestRecovery { recovered(in: time) }
        notes += part.notes
        problems += part.problems
    }

    /// What makes the verdict.
    var faults: [String] {
        fired < planned ? problems + ["only \(fired) of \(planned) faults happened"] : problems
    }
}
