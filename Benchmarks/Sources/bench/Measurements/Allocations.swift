import BenchmarkWork
import RedisStreams

/// Measures the allocations per message: the difference of a long and a short run, so that the cost of a start cancels
/// out.
struct Allocations {
    let server: Server

    private static let workloads: [(Workload, Order.Job)] = [
        (.fanOut, .fanOut), (.fanOutMessages, .fanOutMessages), (.group, .group), (.groupRun, .groupRun),
        (.xadd, .xadd), (.producer, .producer),
    ]
    private static let short = 20_000
    private static let long = 120_000
    private static let rounds = 3
    /// How often a workload above its threshold is measured: a busy machine only ever adds allocations.
    private static let attempts = 4

    /// Returns the allocations per message by the name of the workload; `nil` where they cannot be counted.
    func measure(against thresholds: Thresholds? = nil) async throws -> [String: Double]? {
        var measured: [String: Double] = [:]
        for (workload, job) in Self.workloads {
            let threshold = thresholds?.allocationsPerMessage[workload.name]
            var few = Double.infinity
            var many = Double.infinity
            for _ in 0..<Self.attempts {
                guard let short = try await count(workload, job, Self.short),
                    let long = try await count(workload, job, Self.long)
                else {
                    print("Allocations are not counted: that needs Linux with glibc.")
                    return nil
                }
                few = min(few, short)
                many = min(many, long)
                let perMessage = max(0, many - few) / Double(Self.long - Self.short)
                measured[workload.name] = perMessage
                if let threshold, perMessage <= threshold { break }
            }
        }
        try await server.clear()
        return measured
    }

    /// Measures the allocations, and compares them with the thresholds or writes them as new ones.
    func gate(updating: Bool) async throws {
        let known = updating ? nil : try Thresholds.read()
        guard let measured = try await measure(against: known) else { return }
        if updating { try Thresholds(measured: measured).write() }
        let thresholds = try Thresholds.read()
        let rows = Self.workloads.map { workload, _ in
            let threshold = thresholds.allocationsPerMessage[workload.name]
            return [workload.name, decimal(measured[workload.name] ?? 0), threshold.map(decimal) ?? "–"]
        }
        print("\n\(Table.lines([["workload", "allocations per message", "threshold"]] + rows, textColumns: 1))\n")
        let violations = thresholds.violations(by: measured)
        guard violations.isEmpty else {
            throw Failure(
                """
                More allocations than Benchmarks/Thresholds.json allows:
                  \(violations.joined(separator: "\n  "))
                If that is intended, run 'make bench-thresholds' and commit the new file; say why in the commit.
                """
            )
        }
    }

    /// The fewest allocations of several runs. How many messages share a reply or an acknowledgement depends on what
    /// else the machine does, which only adds allocations: the quietest run shows what the code itself needs.
    private func count(_ workload: Workload, _ job: Order.Job, _ messages: Int) async throws -> Double? {
        let order = server.order(job, messages: messages)
        let throughput = Throughput(workload.name, server, order, rounds: Self.rounds)
        try await throughput.setUp()
        var counts: [Double] = []
        for _ in 0..<throughput.rounds {
            let (report, _) = try await throughput.runChecked(.counted, order)
            guard let count = report.allocations else { return nil }
            counts.append(Double(count))
        }
        return counts.min()
    }
}
