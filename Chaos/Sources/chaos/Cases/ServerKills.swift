import ChaosWork
import RedisStreams

/// The server is killed under load again and again, and restarts with everything that it had confirmed. Some restarts
/// come later than a lease after the kill.
struct ServerKills: ChaosCase {
    let name = "server-kills"
    let summary = "kill -9 of the server under load, with appendfsync always"
    let control = Control(off: "the server's persistence", sign: "were not handled")

    func run(_ scene: Scene) async throws -> Outcome {
        let settings = scene.isControl ? [] : ChaosServer.durable
        return try await ChaosServer.with(scene.server, settings) { server in
            try await server.withClient { redis in
                try await server.withClient { try await play(scene, server, redis, producing: $0) }
            }
        }
    }

    private func play(
        _ scene: Scene,
        _ server: ChaosServer,
        _ redis: RedisClient,
        producing client: RedisClient
    ) async throws -> Outcome {
        let stream = StreamKey("stream")
        let (count, kills) = (scene.count(500_000, quick: 50_000), scene.count(30, quick: 6))
        let load = Load(client, stream, count: count)
        let consumers = Consumers(redis, stream)
        let handled = Handled()
        var outcome = Outcome(planned: kills)
        var random = scene.random
        try await consumers.running { number, _ in
            // Slower than the producer, so that at a kill some messages are unread, some buffered and some being
            // handled.
            try? await Task.sleep(for: .milliseconds(1))
            handled.add(number)
        } _: {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await load.run() }
                do {
                    for kill in 1...kills {
                        // A control run gets stuck here, since the server has lost the messages.
                        try await eventually(
                            "the next kill is due",
                            within: scene.isControl ? .seconds(5) : .seconds(170)
                        ) {
                            handled.total >= count * kill / (kills + 1)
                        }
                        try await Task.sleep(for: .milliseconds(Int.random(in: 0...30, using: &random)))
                        // After a pause of a lease, every pending message can be claimed although its owner lives.
                        let pause = kill % 10 == 3 ? (consumers.configuration.claimIdleTime ?? .zero) : .zero
                        outcome.recovered(in: try await strike(server, stream, client, pause: pause))
                        outcome.fired += 1
                    }
                } catch {
                    outcome.problems.append("\(error)")
                }
                try await group.waitForAll()
            }
            do { try await Consumers.drained(redis, stream) } catch { outcome.problems.append("\(error)") }
        }
        outcome.problems += consumers.problems
        // Only messages that were being handled at a kill may be handled twice.
        outcome.check(handled, load, most: kills * consumers.count * consumers.concurrency)
        return outcome
    }

    /// Kills the server and starts it again. Returns how long it took from its first answer until messages were read.
    private func strike(
        _ server: ChaosServer,
        _ stream: StreamKey,
        _ redis: RedisClient,
        pause: Duration
    ) async throws -> Duration {
        try await server.kill()
        try await Task.sleep(for: pause)
        try await server.launch()
        // Handlers go on with messages that were read before the kill, so only a new read shows that consumers are
        // back.
        var before: StreamID?
        return try await eventually("messages are read again", within: .seconds(20), every: .milliseconds(1)) {
            guard let group = try? await redis.xinfoGroups(stream).first else { return false }
            before = before ?? group.lastDeliveredID
            return group.lastDeliveredID != before
        }
    }
}

extension Outcome {
    /// Demands that everything confirmed was handled, and not much of it twice.
    mutating func check(_ handled: Handled, _ load: Load, most duplicates: Int) {
        let confirmed = load.confirmed
        tried = confirmed.count
        lost = handled.missing(of: Array(confirmed.values)).count
        duplicated = handled.duplicates
        demand(lost == 0, "\(lost) confirmed messages were not handled")
        demand(duplicated <= duplicates, "\(duplicated) duplicates, expected are \(duplicates) at most")
    }
}
