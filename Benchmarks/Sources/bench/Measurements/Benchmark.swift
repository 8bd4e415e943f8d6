import BenchmarkWork
import RedisStreams

/// All measurements of the table.
struct Benchmark {
    /// A measurement, which gives the figures of one workload or several.
    struct Measurement: Sendable {
        let workloads: [Workload]
        let run: @Sendable (Benchmark) async throws -> [Figure]
    }

    let server: Server
    let options: Options

    static let all = [
        rate(.fanOut, .fanOut), rate(.fanOutMessages, .fanOutMessages),
        Measurement(workloads: [.group, .clientCPU]) { try await $0.groupRead() },
        rate(.groupRun, .groupRun),
        rate(.xadd, .xadd), rate(.producer, .producer),
        wait(.latencyRun, median: .latencyMedian, tail: .latencyTail),
        wait(.latency, median: .loopMedian, tail: .loopTail),
        Measurement(workloads: [.idleConsumers]) { try await [$0.resources.idleConsumers()] },
        Measurement(workloads: [.sharedGroup]) { try await $0.sharedGroup() },
        Measurement(workloads: [.backlog]) { try await $0.backlog() },
        Measurement(workloads: [.fairness]) { try await [$0.fairness.run(.fairness, .fairness, jobs: 60)] },
        mixedFairness,
        Measurement(workloads: [.memory]) { try await [$0.resources.slowHandler()] },
    ]

    func run() async throws -> [Figure] {
        do {
            var figures: [Figure] = []
            for measurement in options.measurements { figures += try await measurement.run(self) }
            try await server.clear()
            return figures
        } catch {
            try? await server.clear()
            throw error
        }
    }

    /// Left out of the short form, since it takes a quarter of a minute.
    static let mixedFairness = Measurement(workloads: [.fairnessMixed]) {
        try await [$0.fairness.run(.fairnessMixed, .fairnessMixed, jobs: 300)]
    }

    private var fairness: Fairness { Fairness(server: server, rounds: min(options.rounds, options.isQuick ? 1 : 3)) }

    private var resources: Resources { Resources(server: server, options: options) }

    private static func rate(_ workload: Workload, _ job: Order.Job) -> Measurement {
        Measurement(workloads: [workload]) { benchmark in
            let (c, swift) = try await benchmark.throughput(workload, job)
            return [Figure(workload, swift: swift, over: c)]
        }
    }

    private func throughput(_ workload: Workload, _ job: Order.Job) async throws -> (c: [Sample], swift: [Sample]) {
        let order = server.order(job, messages: options.messages)
        let throughput = Throughput(workload.name, server, order, rounds: options.rounds)
        let samples = try await throughput.run([.c, .swift])
        return (samples[0], samples[1])
    }

    /// The rate, and from the same rounds the CPU time.
    private func groupRead() async throws -> [Figure] {
        let (c, swift) = try await throughput(.group, .group)
        let rate = Figure(.group, swift: swift, over: c)
        var cpu = Figure(.clientCPU, values: swift.map(\.clientCPU), baseline: c.map(\.clientCPU))
        (cpu.swift, cpu.other) = (rate.swift, rate.other)
        return [rate, cpu]
    }

    private static func wait(_ job: Order.Job, median: Workload, tail: Workload) -> Measurement {
        Measurement(workloads: [median, tail]) { try await $0.latency(job, [(median, 50), (tail, 99)]) }
    }

    private func latency(_ job: Order.Job, _ percentiles: [(Workload, Double)]) async throws -> [Figure] {
        let latency = Latency(
            server: server,
            job: job,
            samples: options.samples,
            rounds: options.rounds
        )
        let runs = try await latency.run([.c, .swift])
        return percentiles.map { workload, percent in
            let values = runs.map { side in side.map { Latency.percentile(percent, $0.latencies) } }
            var figure = Figure(workload, values: values[1], baseline: values[0])
            (figure.swift, figure.other) = (Figure.Usage(runs[1].map(\.sample)), Figure.Usage(runs[0].map(\.sample)))
            figure.distributions = ["C": Latency.distribution(runs[0]), "Swift": Latency.distribution(runs[1])]
            return figure
        }
    }

    /// 64 consumers in one process, against a single one.
    private func sharedGroup() async throws -> [Figure] {
        let order = server.order(.groupShared, messages: options.messages)
        let throughput = Throughput(Workload.sharedGroup.name, server, order, rounds: options.rounds)
        let samples = try await throughput.run([1, 64].map { .sharing($0) })
        return [Figure(.sharedGroup, swift: samples[1], over: samples[0])]
    }

    private func backlog() async throws -> [Figure] {
        let backlogs = Backlogs(server: server, passes: options.passes, rounds: options.rounds)
        let samples = try await backlogs.run([Backlogs.least, options.backlog])
        return [Figure(.backlog, swift: samples[1], over: samples[0])]
    }
}
