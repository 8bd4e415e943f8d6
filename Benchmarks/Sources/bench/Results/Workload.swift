import BenchmarkWork

/// A row of the table: what is compared, and what the ratio has to reach.
struct Workload: Sendable {
    let name: String
    /// The ratio is Swift's figure over this one's.
    let against: String
    let unit: String
    let goal: Goal
    /// The factor by which the short form may miss the goal, since it is short and runs beside other work.
    var margin = 2.0

    private static func read(_ name: String, _ least: Double, aim: Double) -> Workload {
        Workload(name: name, against: "C", unit: "messages/s", goal: .atLeast(least, aim: aim))
    }

    static let fanOut = read("fan-out read", 1.4, aim: 2.0)
    static let fanOutMessages = read("fan-out read, messages", 1.0, aim: 1.4)
    static let group = read("group read", 1.35, aim: 1.6)
    static let groupRun = read("group read, run", 1.1, aim: 1.5)
    static let xadd = read("produce, xadd", 1.0, aim: 1.3)
    static let producer = read("produce, producer", 1.2, aim: 1.5)
    static let clientCPU = Workload(
        name: "group read, client CPU",
        against: "C",
        unit: "ns/message",
        goal: .atMost(1.0, aim: 0.7)
    )
    static let latencyMedian = Workload(
        name: "latency p50",
        against: "C",
        unit: "µs",
        goal: .atMost(1.4, aim: 1.1),
        margin: 4
    )
    static let latencyTail = Workload(
        name: "latency p99",
        against: "C",
        unit: "µs",
        goal: .atMost(2.0, aim: 1.3),
        margin: 8
    )
    /// With a loop, for whose body another thread has to be woken. It has no goal of its own.
    static let loopMedian = Workload(name: "latency p50, iterating", against: "C", unit: "µs", goal: .none)
    static let loopTail = Workload(name: "latency p99, iterating", against: "C", unit: "µs", goal: .none)
    static let idleConsumers = Workload(
        name: "idle consumers",
        against: "limit",
        unit: "MB",
        goal: .atMost(1.0, aim: 0.4),
        margin: 3
    )
    static let sharedGroup = Workload(
        name: "64 consumers",
        against: "1 consumer",
        unit: "messages/s",
        goal: .atLeast(0.9, aim: 1.0)
    )
    static let backlog = Workload(
        name: "backlog",
        against: "10 k backlog",
        unit: "messages/s",
        goal: .atLeast(0.9, aim: 1.0)
    )
    /// How long the jobs take that three consumers share.
    static let fairness = Workload(
        name: "fairness, 3 consumers",
        against: "ideal",
        unit: "s",
        goal: .atMost(1.15, aim: 1.05),
        margin: 1.3
    )
    static let fairnessMixed = Workload(
        name: "fairness, mixed jobs",
        against: "ideal",
        unit: "s",
        goal: .atMost(1.25, aim: 1.1),
        margin: 1.3
    )
    static let memory = Workload(
        name: "memory",
        against: "limit",
        unit: "MB",
        goal: .atMost(1.0, aim: 0.25)
    )
}
