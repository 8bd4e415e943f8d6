/// What one run of one side came to.
struct Sample {
    /// Messages per second.
    let rate: Double
    /// Nanoseconds of CPU time that the client took per message.
    let clientCPU: Double
    /// How much of the time the server was busy: 1 is one core.
    let serverCPUShare: Double
}

/// The figures of several rounds.
struct Spread {
    let min: Double
    let median: Double
    let max: Double

    init(_ values: [Double]) {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        min = sorted.first ?? .nan
        max = sorted.last ?? .nan
        if sorted.isEmpty {
            median = .nan
        } else {
            median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        }
    }
}

/// What the rounds of a workload came to.
struct WorkloadResult {
    let workload: Workload
    let baseline: [Sample]
    let swift: [Sample]

    /// Swift's rate over C's, round by round.
    var ratio: Spread { Spread(zip(swift, baseline).map { $0.rate / $1.rate }) }

    /// The median counts.
    var reachesFloor: Bool { workload.floor.map { ratio.median >= $0 } ?? true }

    static func median(_ samples: [Sample], _ figure: (Sample) -> Double) -> Double {
        Spread(samples.map(figure)).median
    }
}
