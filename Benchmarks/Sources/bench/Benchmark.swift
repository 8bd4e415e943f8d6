import Foundation
import RedisStreams

/// Runs workloads in rounds: in each, C and Swift do the same in turn, and what they did is checked.
struct Benchmark {
    static let group = "bench"

    private let options: Options
    private let key: StreamKey
    private let expected: Tally

    init(_ options: Options) {
        self.options = options
        key = StreamKey("swift-redis-streams:bench:\(ProcessInfo.processInfo.processIdentifier)")
        expected = Tally(ofAll: options.messages)
    }

    /// The server to use.
    static func url() throws -> String {
        guard let url = ProcessInfo.processInfo.environment["REDIS_URL"] else {
            throw Failure("REDIS_URL is not set. 'make bench' runs this on a Redis of its own.")
        }
        return url
    }

    func run() async throws -> [WorkloadResult] {
        try await withRedisClient(try Self.url()) { redis in
            do {
                var results: [WorkloadResult] = []
                for workload in options.workloads { results.append(try await measure(workload, redis)) }
                try await redis.del(key)
                return results
            } catch {
                _ = try? await redis.del(key)
                throw error
            }
        }
    }

    private func measure(_ workload: Workload, _ redis: RedisClient) async throws -> WorkloadResult {
        try await setUp(workload.scene, redis)
        var baseline: [Sample] = []
        var swift: [Sample] = []
        for round in 1...options.rounds {
            // Who goes first may find warmer or colder caches: it is each one's turn.
            if round.isMultiple(of: 2) {
                swift.append(try await measureSwift(workload, redis))
                baseline.append(try await measureC(workload, redis))
            } else {
                baseline.append(try await measureC(workload, redis))
                swift.append(try await measureSwift(workload, redis))
            }
            report(workload, round, baseline, swift)
        }
        return WorkloadResult(workload: workload, baseline: baseline, swift: swift)
    }

    private func report(_ workload: Workload, _ round: Int, _ baseline: [Sample], _ swift: [Sample]) {
        guard let baseline = baseline.last, let swift = swift.last else { return }
        let (left, right) = (Int(baseline.rate / 1000), Int(swift.rate / 1000))
        let line = "\(workload.name), round \(round) of \(options.rounds): C \(left) k/s, Swift \(right) k/s\n"
        FileHandle.standardError.write(Data(line.utf8))
    }

    // MARK: One run

    /// Nobody waits for ever; a tenth of what the slowest machine should do is enough.
    private var timeLimit: Int { 60 + options.messages / 2000 }

    private func measureC(_ workload: Workload, _ redis: RedisClient) async throws -> Sample {
        let arguments = [workload.baseline.rawValue, key.rawValue, "\(options.messages)", "\(timeLimit)"]
        return try await measure(workload, try ChildProcess("CBaseline", arguments), redis)
    }

    private func measureSwift(_ workload: Workload, _ redis: RedisClient) async throws -> Sample {
        let arguments = Worker.arguments(
            workload.job,
            stream: key,
            messages: options.messages,
            timeLimit: timeLimit
        )
        return try await measure(workload, try ChildProcess("bench", arguments), redis)
    }

    private func measure(
        _ workload: Workload,
        _ process: ChildProcess,
        _ redis: RedisClient
    ) async throws -> Sample {
        try await prepare(workload.scene, redis)
        let serverBefore = try await serverCPU(redis)
        let output = try await process.output()
        let serverAfter = try await serverCPU(redis)
        guard let report = try? JSONDecoder().decode(RunReport.self, from: output) else {
            throw Failure("\(workload.name): a worker did not report what it did.")
        }
        try await check(workload, report, redis)
        return Sample(
            rate: Double(options.messages) / report.seconds,
            clientCPU: report.cpuSeconds / Double(options.messages) * 1e9,
            serverCPUShare: (serverAfter - serverBefore) / report.seconds
        )
    }

    /// The CPU time that the server has taken until now, in seconds.
    private func serverCPU(_ redis: RedisClient) async throws -> Double {
        let info = try await redis.info("cpu")
        guard let user = info["used_cpu_user"].flatMap({ Double($0) }),
            let system = info["used_cpu_sys"].flatMap({ Double($0) })
        else { throw Failure("INFO cpu does not tell the CPU time.") }
        return user + system
    }

    // MARK: The scene

    /// Once for a workload.
    private func setUp(_ scene: Workload.Scene, _ redis: RedisClient) async throws {
        try await redis.del(key)
        if scene == .noStream { return }
        let numbers = Array(1...options.messages)
        for start in stride(from: 0, to: numbers.count, by: 1000) {
            let commands = numbers[start..<min(start + 1000, numbers.count)].map { XADD(key, Entry.fields($0)) }
            for result in try await redis.pipeline(commands) { _ = try result.get() }
        }
    }

    /// Before each run.
    private func prepare(_ scene: Workload.Scene, _ redis: RedisClient) async throws {
        switch scene {
        case .filledStream: break
        case .unreadGroup:
            try await redis.xgroupDestroy(key, group: Self.group)
            try await redis.xgroupCreate(key, group: Self.group, from: .beginning)
        case .noStream: try await redis.del(key)
        }
    }

    // MARK: The guarantees

    /// No figure without its guarantee: every message exactly once, and nothing left unacknowledged.
    private func check(_ workload: Workload, _ report: RunReport, _ redis: RedisClient) async throws {
        switch workload.scene {
        case .filledStream:
            try check(workload, seen: report.tally)
        case .unreadGroup:
            try check(workload, seen: report.tally)
            try await checkGroup(workload, redis)
        case .noStream:
            guard report.messages == options.messages else {
                throw Failure("\(workload.name): \(report.messages) messages were sent, not \(options.messages).")
            }
            try check(workload, seen: try await contents(redis))
        }
    }

    private func checkGroup(_ workload: Workload, _ redis: RedisClient) async throws {
        let last = try await redis.xrevrange(key, count: 1).first?.id
        guard let group = try await redis.execute(XINFO.GROUPS(key)).first, group.lastDeliveredID == last else {
            throw Failure("\(workload.name): the group has not read the stream to its end.")
        }
        guard group.pendingCount == 0 else {
            throw Failure("\(workload.name): \(group.pendingCount) messages were not acknowledged.")
        }
    }

    private func check(_ workload: Workload, seen: Tally) throws {
        guard seen != expected else { return }
        throw Failure("\(workload.name): not every message was there exactly once: \(seen) instead of \(expected).")
    }

    /// What is in the stream.
    private func contents(_ redis: RedisClient) async throws -> Tally {
        var tally = Tally()
        var last = StreamID.zero
        while let batch = try await redis.xread([StreamOffset(key, after: last)], count: 1000).first {
            for message in batch {
                tally += Tally(message.fields)
                last = message.id
            }
        }
        return tally
    }
}
