import BenchmarkWork

/// How the rates change with one parameter at a time: the data of the plots.
struct Sweeps {
    let server: Server
    let options: Options

    /// A line of a plot: the rates of one side.
    struct Line: Encodable {
        let client: String
        var points: [Point] = []
    }

    struct Point: Encodable {
        let x: Int
        /// Messages per second.
        let rate: Spread
    }

    struct Sweep: Encodable {
        let name: String
        let lines: [Line]
    }

    private static let sizes = [16, 64, 256, 1000, 4000, 16_000, 64_000]
    private static let counts = [10, 20, 50, 100, 200, 500, 1000]
    private static let consumers = [1, 2, 4, 8, 16, 32, 64]

    func run() async throws {
        var sweeps: [Sweep] = []
        for (name, job) in [("fan-out read", Order.Job.fanOut), ("group read", .group)] {
            sweeps.append(try await sweep("\(name), COUNT", job, Self.counts) { $0.batch = $1 })
        }
        let total = options.messages
        for (name, job) in [("fan-out read", Order.Job.fanOut), ("group read", .group), ("produce", .xadd)] {
            sweeps.append(
                try await sweep("\(name), size", job, Self.sizes) { order, size in
                    order.payload = size
                    // About the same number of bytes in each run, once the payload outweighs the rest.
                    order.messages = max(2000, min(total, total * 512 / size))
                }
            )
        }
        sweeps.append(try await sweep("group read, consumers", .groupShared, Self.consumers) { $0.consumers = $1 })
        sweeps.append(try await backlogs())
        try ResultsFolder.write(["sweeps": sweeps], to: "sweeps.json")
        try ResultsFolder.write(["latencies": try await latencies()], to: "latencies.json")
        try await server.clear()
    }

    private func sweep(
        _ name: String,
        _ job: Order.Job,
        _ values: [Int],
        _ change: (inout Order, Int) -> Void
    ) async throws -> Sweep {
        let contestants = [Contestant.c, .swift]
        var lines = contestants.map { Line(client: $0.name) }
        for value in values {
            var order = server.order(job, messages: options.messages)
            change(&order, value)
            let samples = try await Throughput("\(name) \(value)", server, order, rounds: options.rounds).run(
                contestants
            )
            for index in lines.indices {
                lines[index].points.append(Point(x: value, rate: Spread(samples[index].map(\.rate))))
            }
        }
        return Sweep(name: name, lines: lines)
    }

    private func backlogs() async throws -> Sweep {
        let lengths = [10_000, 100_000, 1_000_000, 10_000_000].filter { $0 <= options.backlog }
        let backlogs = Backlogs(server: server, passes: options.passes, rounds: options.rounds)
        let samples = try await backlogs.run(lengths)
        let points = zip(lengths, samples).map { Point(x: $0, rate: Spread($1.map(\.rate))) }
        return Sweep(name: "group read, backlog", lines: [Line(client: "Swift", points: points)])
    }

    /// Microseconds by percent, for C, a loop in Swift, and `run`.
    private func latencies() async throws -> [String: [String: Double]] {
        func latency(_ job: Order.Job) -> Latency {
            Latency(server: server, job: job, samples: options.samples, rounds: options.rounds)
        }
        let loop = try await latency(.latency).run([.c, .swift])
        let run = try await latency(.latencyRun).run([.swift])
        return [
            "C": Latency.distribution(loop[0]), "Swift, loop": Latency.distribution(loop[1]),
            "Swift, run": Latency.distribution(run[0]),
        ]
    }
}
