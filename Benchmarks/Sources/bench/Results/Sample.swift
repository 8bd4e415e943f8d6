import BenchmarkWork

/// The result of one run of one side.
struct Sample: Sendable {
    /// Messages per second.
    let rate: Double
    /// Nanoseconds of CPU time that the client used per message.
    let clientCPU: Double
    /// The share of the time in which the server was busy: 1 is one core.
    let serverCPUShare: Double

    init(_ report: RunReport, messages: Int, serverSeconds: Double) {
        rate = Double(messages) / report.seconds
        clientCPU = report.cpuSeconds / Double(max(1, messages)) * 1e9
        serverCPUShare = serverSeconds / report.seconds
    }

    /// The rate, for the progress output.
    var thousands: String { "\(Int(rate / 1000)) k/s" }
}

/// The figures of several rounds.
struct Spread: Encodable, Sendable {
    let min: Double
    let median: Double
    let max: Double

    init(_ values: [Double]) {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        min = sorted.first ?? 0
        max = sorted.last ?? 0
        if sorted.isEmpty {
            median = 0
        } else {
            median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        }
    }

    /// One side's figures over the other's, round by round.
    init(_ values: [Double], over others: [Double]) {
        self.init(zip(values, others).map { $0 / $1 })
    }
}
