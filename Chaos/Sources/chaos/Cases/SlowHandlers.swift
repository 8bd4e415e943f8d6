import ChaosWork
import RedisStreams
import Synchronization

/// Handlers that take five times as long as the lease.
struct SlowHandlers: ChaosCase {
    let name = "slow-handlers"
    let summary = "handlers that take five leases; no message is handled twice at a time"
    /// How many messages are handled at a time.
    private static let wave = 200

    let control = Control(off: "the renewal of leases", sign: "handled already")

    func run(_ scene: Scene) async throws -> Outcome {
        let lease = Duration.milliseconds(scene.isQuick ? 500 : 1000)
        return try await ChaosServer.with(scene.server) { server in
            try await server.withClient { try await play(scene, lease, $0) }
        }
    }

    private func play(_ scene: Scene, _ lease: Duration, _ redis: RedisClient) async throws -> Outcome {
        let stream = StreamKey("stream")
        let count = scene.count(2000, quick: 400)
        var configuration = GroupConsumer.Configuration.chaotic
        configuration.claimIdleTime = lease
        if scene.isControl { configuration.turnOff(.renewal) }
        configuration.batchSize = 20
        configuration.prefetch = 50
        let (runs, most) = (Runs(), Self.wave / 2)
        let consumers = Consumers(redis, stream, count: 2, concurrency: most, configuration)
        // They start when all other handlers are busy, and claim every message that they can.
        let bystanders = Consumers(redis, stream, count: 2, concurrency: most, prefix: "bystander", configuration)
        let handler = { @Sendable (number: Int, _: Int) in
            // Like a call that ignores cancellation.
            try await runs.during(number) { await Task { try? await Task.sleep(for: lease * 5) }.value }
        }
        var outcome = Outcome(tried: count, planned: count)
        try await consumers.running(handler) {
            for first in stride(from: 0, to: count, by: Self.wave) {
                for number in first..<first + Self.wave { try await redis.xadd(stream, ["n": .integer(number)]) }
                try await eventually("all handlers run", within: lease * 10) { runs.begun >= first + Self.wave }
                try await bystanders.running(handler) {
                    do {
                        try await Consumers.drained(redis, stream, within: lease * 15)
                    } catch {
                        outcome.problems.append("\(error)")
                    }
                }
                if !outcome.problems.isEmpty { return }
            }
        }
        (outcome.fired, outcome.duplicated) = (runs.finished, runs.concurrent)
        outcome.lost = max(0, count - runs.finished)
        outcome.notes.append("\(runs.begun) runs of \(count) messages; duplicated: at the same time")
        outcome.problems += consumers.problems + bystanders.problems
        outcome.demand(runs.concurrent == 0, "\(runs.concurrent) runs while the message was being handled already")
        return outcome
    }
}

/// Which messages are being handled.
private final class Runs: Sendable {
    private struct State {
        var running: [Int: Int] = [:]
        var done: Set<Int> = []
        var begun = 0
        var concurrent = 0
    }

    private let state = Mutex(State())

    var begun: Int { state.withLock { $0.begun } }
    /// How many runs began while another of the same message went on.
    var concurrent: Int { state.withLock { $0.concurrent } }
    /// How many messages were handled to the end.
    var finished: Int { state.withLock { $0.done.count } }

    func during(_ number: Int, _ body: () async throws -> Void) async throws {
        state.withLock { state in
            state.begun += 1
            if state.running[number, default: 0] > 0 { state.concurrent += 1 }
            state.running[number, default: 0] += 1
        }
        defer { state.withLock { $0.running[number, default: 1] -= 1 } }
        try await body()
        state.withLock { _ = $0.done.insert(number) }
    }
}
