/// The result of the rounds of a workload: a row of the table.
struct Figure: Sendable {
    let workload: Workload
    let ratio: Spread
    /// Medians, in the unit of the workload.
    var value: Double
    let baseline: Double
    /// The CPU times of both sides, if the workload transfers messages.
    var swift: Usage?
    var other: Usage?
    /// Further values, whose names contain their units.
    var details: [String: Double] = [:]
    var distributions: [String: [String: Double]]?

    /// Nanoseconds per message, and a share of one core.
    struct Usage: Sendable {
        let clientCPU: Double
        let serverCPUShare: Double

        init(_ samples: [Sample]) {
            clientCPU = Spread(samples.map(\.clientCPU)).median
            serverCPUShare = Swift.min(1, Spread(samples.map(\.serverCPUShare)).median)
        }
    }

    /// Whether the median ratio reaches the goal.
    var isReached: Bool { workload.goal.isReached(by: ratio.median) }
    var isWithinMargin: Bool { workload.goal.isReached(by: ratio.median, within: workload.margin) }

    init(_ workload: Workload, values: [Double], baseline: [Double]) {
        self.workload = workload
        ratio = Spread(values, over: baseline)
        value = Spread(values).median
        self.baseline = Spread(baseline).median
    }

    /// Rates, Swift's over another's.
    init(_ workload: Workload, swift: [Sample], over other: [Sample]) {
        self.init(workload, values: swift.map(\.rate), baseline: other.map(\.rate))
        self.swift = Usage(swift)
        self.other = Usage(other)
    }
}
