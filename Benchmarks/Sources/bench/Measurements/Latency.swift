import BenchmarkWork
import Foundation
import RedisStreams

/// The time from an XADD in one process to the handler in another, which waits in XREADGROUP.
struct Latency {
    let server: Server
    let job: Order.Job
    let samples: Int
    let rounds: Int

    /// One run of one side.
    struct Run {
        /// Nanoseconds, sorted.
        let latencies: [Int]
        let sample: Sample
    }

    /// Returns the runs of each contestant.
    func run(_ contestants: [Contestant]) async throws -> [[Run]] {
        try await Rounds(name: "\(job)", count: rounds).run(contestants.map(\.name)) { index in
            try await measure(contestants[index])
        } describe: { run in
            let (median, tail) = (Self.percentile(50, run.latencies), Self.percentile(99, run.latencies))
            return "p50 \(Int(median)) µs, p99 \(Int(tail)) µs"
        }
    }

    private func measure(_ contestant: Contestant) async throws -> Run {
        let messages = samples + Order.warmUp
        var order = server.order(job, messages: messages)
        order.batch = nil
        try await server.clear()
        try await server.resetGroup()
        let (result, serverSeconds) = try await server.measuringCPU { try await exchange(order, contestant) }
        let expected = Tally(of: 1...messages, payload: 0)
        guard result.messages == messages, result.tally.checksum == expected.checksum,
            let latencies = result.latencies, latencies.count == messages
        else { throw Failure("\(job), \(contestant.name): not every message came exactly once.") }
        try await server.checkGroup("\(job), \(contestant.name)")
        let sample = Sample(result, messages: messages, serverSeconds: serverSeconds)
        return Run(latencies: latencies.dropFirst(Order.warmUp).sorted(), sample: sample)
    }

    /// One process waits, then another sends. Returns the report of the one that waited.
    private func exchange(_ order: Order, _ contestant: Contestant) async throws -> RunReport {
        let reader = try contestant.process(order)
        async let report = reader.report()
        try await waitUntilBlocked()
        let sender = ["latency-send", order.stream, "\(order.messages)", "\(order.timeLimit)"]
        _ = try await ChildProcess(built: "CBaseline", sender).report()
        return try await report
    }

    private func waitUntilBlocked() async throws {
        for _ in 0..<500 {
            if try await server.redis.info("clients")["blocked_clients"].flatMap({ Int($0) }) ?? 0 > 0 { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw Failure("The reader does not wait for messages.")
    }

    /// Microseconds.
    static func percentile(_ percent: Double, _ sorted: [Int]) -> Double {
        guard !sorted.isEmpty else { return 0 }
        let index = Int((percent / 100 * Double(sorted.count - 1)).rounded())
        return Double(sorted[index]) / 1000
    }

    /// The whole distribution, of all runs together.
    static func distribution(_ runs: [Run]) -> [String: Double] {
        let all = runs.flatMap(\.latencies).sorted()
        let percents = (0...100).map(Double.init) + [99.5, 99.9, 99.99]
        return Dictionary(uniqueKeysWithValues: percents.map { (decimal($0), percentile($0, all)) })
    }
}
