import BenchmarkWork
import Foundation
import RedisStreams

/// The Redis of the measurements, with the stream of the benchmark.
struct Server {
    let redis: RedisClient
    let stream: StreamKey

    init(_ redis: RedisClient, suffix: String = "") {
        self.redis = redis
        stream = StreamKey("swift-redis-streams:bench:\(ProcessInfo.processInfo.processIdentifier)\(suffix)")
    }

    func order(_ job: Order.Job, messages: Int) -> Order {
        // The time limit allows a tenth of the rate of the slowest machine.
        Order(job, stream: stream.rawValue, messages: messages, timeLimit: UInt32(60 + messages / 2000))
    }

    /// The server's name and version.
    func version() async throws -> String {
        let info = try await redis.info("server")
        return "Redis \(info["redis_version"] ?? "of unknown version")"
    }

    /// Returns what `body` returns, and the CPU time that the server used meanwhile, in seconds.
    func measuringCPU<Result>(
        _ body: () async throws -> Result
    ) async throws -> (result: Result, serverSeconds: Double) {
        let before = try await cpuSeconds()
        let result = try await body()
        return (result, try await cpuSeconds() - before)
    }

    /// The CPU time that the server has used so far.
    private func cpuSeconds() async throws -> Double {
        let info = try await redis.info("cpu")
        guard let user = info["used_cpu_user"].flatMap({ Double($0) }),
            let system = info["used_cpu_sys"].flatMap({ Double($0) })
        else { throw Failure("INFO cpu does not contain the CPU time.") }
        return user + system
    }

    // MARK: The stream and its groups

    func clear() async throws {
        try await redis.del(stream)
    }

    /// Fills the stream with the messages 1 to `messages`, whose ids are `Order.id(of:)`.
    func fill(_ messages: Int, payload: Int = Entry.payloadSize) async throws {
        try await clear()
        let order = ["fill", stream.rawValue, "\(messages)", "\(60 + messages / 2000)", "1", "\(payload)"]
        _ = try await ChildProcess(built: "CBaseline", order).report()
    }

    /// Creates a group that has read nothing of the stream, and the stream if it is missing.
    func resetGroup() async throws {
        if try await redis.exists(stream) > 0 { try await redis.xgroupDestroy(stream, group: Order.group) }
        try await redis.xgroupCreate(stream, group: Order.group, from: .beginning, createStream: true)
    }

    func destroyGroups() async throws {
        for group in try await redis.xinfoGroups(stream) { try await redis.xgroupDestroy(stream, group: group.name) }
    }

    // MARK: Checks

    /// Checks that the group has read the stream to its end, and acknowledged all of it.
    func checkGroup(_ name: String) async throws {
        let last = try await redis.xrevrange(stream, count: 1).first?.id
        guard let group = try await redis.xinfoGroups(stream).first, group.lastDeliveredID == last else {
            throw Failure("\(name): the group has not read the stream to its end.")
        }
        guard group.pendingCount == 0 else {
            throw Failure("\(name): \(group.pendingCount) messages were not acknowledged.")
        }
    }

    func check(_ name: String, seen: Tally, expected: Tally) throws {
        guard seen != expected else { return }
        throw Failure("\(name): not every message came exactly once: \(seen) instead of \(expected).")
    }

    /// The tally of all entries in the stream.
    func contents() async throws -> Tally {
        var tally = Tally()
        var last = StreamID.zero
        while let batch = try await redis.xread([StreamOffset(stream, after: last)], count: 1000).first {
            for message in batch {
                tally += Tally(message.fields)
                last = message.id
            }
        }
        return tally
    }
}
