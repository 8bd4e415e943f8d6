import Foundation

/// The results for programs: `Benchmarks/.results/latest.json`.
struct Report: Encodable {
    private struct Row: Encodable {
        let workload: String
        let ratio: Spread
        /// What the ratio is against, and the figures of both sides in this unit.
        let against: String
        let unit: String
        let value: Double
        let baseline: Double
        let isCeiling: Bool
        /// `nil` if the ratio is only shown.
        let bound: Double?
        let aim: Double?
        let reached: Bool
        /// Nanoseconds, of the Swift side.
        let clientCPUPerMessage: Double?
        let baselineClientCPUPerMessage: Double?
        /// 0 to 1, while the Swift side ran.
        let serverCPUShare: Double?
        let baselineServerCPUShare: Double?
        let details: [String: Double]
        let distributions: [String: [String: Double]]?

        init(_ figure: Figure) {
            workload = figure.workload.name
            ratio = figure.ratio
            against = figure.workload.against
            unit = figure.workload.unit
            value = figure.value
            baseline = figure.baseline
            isCeiling = figure.workload.goal.isCeiling
            let goal = figure.workload.goal
            bound = goal.bound.isFinite ? goal.bound : nil
            aim = goal.aim.isFinite ? goal.aim : nil
            reached = figure.isReached
            clientCPUPerMessage = figure.swift?.clientCPU
            baselineClientCPUPerMessage = figure.other?.clientCPU
            serverCPUShare = figure.swift?.serverCPUShare
            baselineServerCPUShare = figure.other?.serverCPUShare
            details = figure.details
            distributions = figure.distributions
        }
    }

    private let date = ISO8601DateFormatter().string(from: Date())
    private let processors = ProcessInfo.processInfo.activeProcessorCount
    private let server: String
    private let rounds: Int
    private let messages: Int
    private let workloads: [Row]

    init(_ figures: [Figure], options: Options, server: String) {
        self.server = server
        rounds = options.rounds
        messages = options.messages
        workloads = figures.map(Row.init)
    }
}
