import ChaosWork
import RedisStreams
import Synchronization

/// While handlers run, their stream is deleted, and other entries are added with the same ids.
struct ReusedIDs: ChaosCase {
    let name = "reused-ids"
    let summary = "DEL and XADD of the same ids while their handlers run: the new entries are handled"
    let control = Control(off: "handling: a script acknowledges the new entries", sign: "acknowledged unhandled")

    func run(_ scene: Scene) async throws -> Outcome {
        try await ChaosServer.with(scene.server) { server in
            try await server.withController { controller in
                try await server.withClient { redis in
                    let rounds = scene.count(50, quick: 5)
                    return try await withThrowingTaskGroup(of: Outcome.self) { group in
                        for number in 0..<4 {
                            let lane = Lane(number, scene: scene, redis: redis, controller)
                            group.addTask { try await lane.play(rounds) }
                        }
                        var outcome = Outcome()
                        for try await part in group { outcome.add(part) }
                        outcome.notes = ["recovery: from the end of old handlers until the new entries were handled"]
                        return outcome
                    }
                }
            }
        }
    }
}

/// A stream with one consumer, so that only this one can notice that the group is gone and recreate it.
private final class Lane: Sendable {
    private static let size = 20
    private static let concurrency = 8

    private let stream: StreamKey
    private let scene: Scene
    private let redis: RedisClient
    private let controller: RedisClient
    private let handled = Handled()
    /// How many handlers of a round run on entries that will be deleted, and up to which round handlers may end.
    private let old = Mutex((round: 0, begun: 0, mayEnd: 0))

    init(_ number: Int, scene: Scene, redis: RedisClient, _ controller: RedisClient) {
        stream = StreamKey("stream-\(number)")
        (self.scene, self.redis, self.controller) = (scene, redis, controller)
    }

    func play(_ rounds: Int) async throws -> Outcome {
        var configuration = GroupConsumer.Configuration.chaotic
        // Redis 6.2 does not wake a blocked read when its stream is deleted.
        configuration.block = .milliseconds(200)
        let consumer = GroupConsumer(redis, stream: stream, group: Consumers.group, configuration: configuration)
        let running = Task { try await consumer.run(concurrency: Self.concurrency) { await self.handle($0) } }
        defer { running.cancel() }
        var outcome = Outcome(planned: rounds)
        for round in 1...rounds {
            try await play(round: round, &outcome)
            // Further rounds would fail in the same way.
            if !outcome.problems.isEmpty { break }
        }
        running.cancel()
        let result = await running.result
        if case .failure(let error) = result { outcome.problems.append("the consumer ended: \(error)") }
        return outcome
    }

    private func play(round: Int, _ outcome: inout Outcome) async throws {
        old.withLock { ($0.round, $0.begun) = (round, 0) }
        try await add(round, "old")
        try await eventually("handlers run on the old entries") { old.withLock { $0.begun } == Self.concurrency }
        try await replace(round)
        outcome.fired += 1
        // Once the consumer has recreated the group, no acknowledgement of an old entry may reach it.
        try await eventually("the consumer has recreated the group") {
            // The command fails while there is no stream.
            ((try? await controller.xinfoGroups(stream)) ?? []).isEmpty == false
        }
        old.withLock { $0.mayEnd = round }
        let numbers = (0..<Self.size).map { round * Self.size + $0 }
        let time = try? await eventually("the new entries are handled", within: .seconds(8)) {
            handled.missing(of: numbers).isEmpty
        }
        if let time { outcome.recovered(in: time) }
        outcome.tried += Self.size
        let missing = handled.missing(of: numbers).count
        outcome.lost += missing
        let pending = try await controller.xpending(stream, group: Consumers.group).count
        outcome.demand(
            missing == 0,
            "\(stream): \(missing) of \(Self.size) new entries are not handled, and \(pending) are pending: the rest was "
                + "acknowledged unhandled"
        )
        try await Consumers.drained(controller, stream, within: .seconds(10))
    }

    private func handle(_ message: GroupMessage) async {
        guard let number = message["n"].flatMap({ Int($0) }) else { return }
        guard message["kind"] == "old" else { return handled.add(number) }
        old.withLock { if $0.round == number / Self.size { $0.begun += 1 } }
        while old.withLock({ $0.mayEnd }) < number / Self.size, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(1))
        }
    }

    // MARK: Entries

    private static let adding = """
        for i = 0, ARGV[2] - 1 do
            redis.call('XADD', KEYS[1], ARGV[1] .. '-' .. (i + 1), 'n', ARGV[1] * ARGV[2] + i, 'kind', ARGV[3])
        end

        """

    private func add(_ round: Int, _ kind: String) async throws {
        try await run(Self.adding, round, kind)
    }

    /// Deletes the stream and adds other entries in one step. In a control run, another consumer reads and acknowledges
    /// these in the same step, so that they are never handled.
    private func replace(_ round: Int) async throws {
        let stealing = """
            redis.call('XGROUP', 'CREATE', KEYS[1], 'g', '0')
            redis.call('XREADGROUP', 'GROUP', 'g', 'thief', 'COUNT', '100', 'STREAMS', KEYS[1], '>')
            for i = 1, ARGV[2] do redis.call('XACK', KEYS[1], 'g', ARGV[1] .. '-' .. i) end
            """
        try await run("redis.call('DEL', KEYS[1])\n" + Self.adding + (scene.isControl ? stealing : ""), round, "new")
    }

    private func run(_ script: String, _ round: Int, _ kind: String) async throws {
        _ = try await controller.eval(
            script,
            keys: [stream],
            arguments: [.integer(round), .integer(Self.size), .text(kind)]
        )
    }
}
