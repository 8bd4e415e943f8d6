/// The result of a case.
struct Outcome: Sendable {
    /// How many messages, rounds or cancellations there were.
    var tried = 0
    /// How many faults happened.
    var fired = 0
    /// How many faults had to happen.
    var planned = 0
    /// Confirmed messages that no consumer handled.
    var lost = 0
    /// How often a message was handled again; in `slow-handlers`, how often while another handler still ran.
    var duplicated = 0
    /// The longest time from a fault, or from the end of its cause, until the library had recovered.
    var slowestRecovery: Duration?
    /// Further facts to print.
    var notes: [String] = []
    /// Why the case fails.
    var problems: [String] = []

    mutating func recovered(in time: Duration) {
        slowestRecovery = max(slowestRecovery ?? .zero, time)
    }

    /// Demands that something holds.
    mutating func demand(_ holds: Bool, _ problem: String) {
        if !holds { problems.append(problem) }
    }

    /// Adds the result of a part of the case.
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

    /// Why the case fails, including faults that did not happen.
    var faults: [String] {
        fired < planned ? problems + ["only \(fired) of \(planned) faults happened"] : problems
    }
}
