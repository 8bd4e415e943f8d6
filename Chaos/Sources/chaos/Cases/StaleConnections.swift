import ChaosWork
import RedisStreams

/// The network cuts off a blocked reader without notifying the server, which goes on delivering messages to the stale
/// connection.
struct StaleConnections: ChaosCase {
    let name = "stale-connections"
    let summary = "blocked readers that are cut off while the server keeps their connections"
    let control = Control(
        off: "killing stale connections on the server, and recovery of the own pending list",
        sign: "is handled"
    )

    /// The time within which a message must be handled: far less than the block time of the read, and than the lease.
    private static let bound = Duration.seconds(2)
    private static let victim = "victim"

    func run(_ scene: Scene) async throws -> Outcome {
        try await ChaosServer.with(scene.server) { server in
            try await ChaosProxy.with(to: server.port, seed: scene.seed) { proxy in
                try await server.withClients(through: proxy, name: Self.victim) { redis, controller in
                    try await play(scene, proxy, redis, controller)
                }
            }
        }
    }

    private func play(
        _ scene: Scene,
        _ proxy: ChaosProxy,
        _ redis: RedisClient,
        _ controller: RedisClient
    ) async throws -> Outcome {
        let stream = StreamKey("stream")
        var configuration = GroupConsumer.Configuration.chaotic
        configuration.block = .seconds(10)
        configuration.claimIdleTime = .seconds(20)
        if scene.isControl { configuration.turnOff(.staleConnectionKill, .recovery) }
        let consumers = Consumers(redis, stream, count: 1, configuration)
        let handled = Handled()
        var (outcome, random) = (Outcome(), scene.random)
        outcome.planned = scene.count(100, quick: 15)
        try await consumers.running { number, _ in
            handled.add(number)
        } _: {
            for number in 0..<outcome.planned {
                let reader = try await Self.reader(controller)
                _ = proxy.cutClients()
                // Adds the message before or after the consumer has reconnected.
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...200, using: &random)))
                try await controller.xadd(stream, ["n": .integer(number)])
                outcome.tried += 1
                do {
                    outcome.recovered(
                        in: try await eventually(
                            "message \(number) is handled",
                            within: Self.bound,
                            every: .milliseconds(1)
                        ) {
                            handled.contains(number)
                        }
                    )
                } catch {
                    outcome.lost += 1
                    outcome.problems.append("\(error)")
                    if outcome.lost == 3 { return }
                }
                if reader > 0 { outcome.fired += 1 }
            }
        }
        outcome.duplicated = handled.duplicates
        outcome.problems += consumers.problems
        return outcome
    }

    /// Waits until the consumer's read blocks on the server, and returns the id of its connection.
    private static func reader(_ redis: RedisClient) async throws -> Int {
        var blocked: [Int] = []
        try await eventually("the reader is blocked", within: .seconds(15)) {
            blocked = try await redis.connections(of: victim, blocked: true)
            return !blocked.isEmpty
        }
        return blocked.max() ?? 0
    }
}
