import BenchmarkWork
import RedisStreams

/// How long three consumers take for the jobs that they share, against the time if none was ever idle.
struct Fairness {
    let server: Server
    let rounds: Int

    func run(_ workload: Workload, _ job: Order.Job, jobs: Int) async throws -> Figure {
        var order = server.order(job, messages: jobs)
        order.batch = nil
        order.consumers = 3
        try await server.fill(jobs)
        var seconds: [Double] = []
        var leastShare = 1.0
        for round in 1...rounds {
            try await server.resetGroup()
            let report = try await Contestant.swift.process(order).report()
            try server.check(workload.name, seen: report.tally, expected: Tally(of: 1...jobs, payload: order.payload))
            try await server.checkGroup(workload.name)
            seconds.append(report.seconds)
            let shares = report.shares ?? []
            leastShare = min(leastShare, Double(shares.min() ?? 0) / Double(jobs))
            Progress.say("\(workload.name), round \(round) of \(rounds): \(decimal(report.seconds)) s, jobs \(shares)")
        }
        var figure = Figure(workload, values: seconds, baseline: seconds.map { _ in order.idealSeconds })
        figure.details = ["least share": leastShare]
        return figure
    }
}
