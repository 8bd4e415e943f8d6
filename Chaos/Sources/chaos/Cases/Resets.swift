import ChaosWork
import NIOCore
import RedisStreams

/// All connections go through a proxy that resets each of them after a random time.
struct Resets: ChaosCase {
    let name = "resets"
    let summary = "a proxy that resets every connection after 50 to 500 ms"
    let control = Control(off: "the pending list (acknowledgement = .never)", sign: "were not handled")

    func run(_ scene: Scene) async throws -> Outcome {
        try await ChaosServer.with(scene.server) { server in
            // The delay keeps commands and replies on their way, so that resets hit them.
            try await ChaosProxy.with(
                to: server.port,
                lifetime: 50...500,
                delay: .milliseconds(2),
                seed: scene.seed
            ) { proxy in
                try await server.withClients(through: proxy) { redis, controller in
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
        let count = scene.count(200_000, quick: 20_000)
        // The rate makes the run long enough for many resets.
        let load = Load(redis, stream, count: count, rate: 5_000)
        var configuration = GroupConsumer.Configuration.chaotic
        if scene.isControl { configuration.acknowledgement = .never }
        let consumers = Consumers(redis, stream, configuration)
        let handled = Handled()
        var outcome = Outcome(planned: count / 1000)
        try await consumers.running { number, _ in
            if number % 50 == 0 { try? await Task.sleep(for: .milliseconds(1)) }
            handled.add(number)
        } _: {
            try await bounded("all messages are confirmed or refused", within: .seconds(scene.isQuick ? 20 : 90)) {
                try await load.run()
            }
            let start = ContinuousClock.now
            do { try await Consumers.drained(controller, stream, within: .seconds(20)) } catch {
                outcome.problems.append("\(error)")
            }
            outcome.recovered(in: ContinuousClock.now - start)
        }
        outcome.fired = proxy.resets
        outcome.notes.append(
            "\(proxy.connections) connections; recovery: from the last message until nothing is pending"
        )
        outcome.problems += consumers.problems
        outcome.check(handled, load, most: proxy.resets * consumers.window / consumers.count)
        return outcome
    }
}
