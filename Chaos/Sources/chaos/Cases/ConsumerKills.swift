import ChaosWork
import RedisStreams

/// Consumer processes are killed under load, and other consumers claim their messages.
struct ConsumerKills: ChaosCase {
    let name = "consumer-kills"
    let summary = "SIGKILL of consumers under load; others claim their messages within the lease and a second"
    let control = Control(
        off: "claiming the messages of dead consumers (claimIdleTime = nil)",
        sign: "handled by no other consumer"
    )

    private static let stream = StreamKey("stream")

    func run(_ scene: Scene) async throws -> Outcome {
        try await ChaosServer.with(scene.server) { server in
            try await server.withController { redis in
                let fleet = Fleet(server, redis, Self.stream, hasLeases: !scene.isControl)
                var play = Play(scene: scene, redis: redis, fleet: fleet)
                return try await play.run()
            }
        }
    }

    /// One run.
    private struct Play {
        let scene: Scene
        let redis: RedisClient
        var fleet: Fleet
        /// When the last consumer was killed that held the message.
        var killTimes: [StreamID: UInt64] = [:]
        var outcome = Outcome()

        init(scene: Scene, redis: RedisClient, fleet: Fleet) {
            (self.scene, self.redis, self.fleet) = (scene, redis, fleet)
        }

        mutating func run() async throws -> Outcome {
            let stream = ConsumerKills.stream
            let (count, kills) = (scene.count(200_000, quick: 20_000), scene.count(50, quick: 6))
            outcome.planned = kills
            try await redis.xgroupCreate(stream, group: Consumers.group, from: .beginning, createStream: true)
            // The rate spreads the kills over the messages.
            let load = Load(redis, stream, count: count, rate: 2_500)
            var random = scene.random
            for _ in 0..<4 { try fleet.start() }
            let loading = Task { try await load.run() }
            defer { loading.cancel() }
            for kill in 1...kills {
                try await load.reached(count * kill / (kills + 1))
                try await strike(fleet.living.indices.randomElement(using: &random) ?? 0)
            }
            try await loading.value
            do {
                try await Consumers.drained(redis, stream, within: scene.isControl ? .seconds(6) : .seconds(30))
            } catch {
                outcome.problems.append("\(error)")
            }
            outcome.problems += fleet.living.compactMap(\.failure)
            try await fleet.end()
            try check(load.confirmed)
            return outcome
        }

        /// Kills a consumer that holds messages, and starts another.
        private mutating func strike(_ index: Int) async throws {
            let (time, ids) = try await fleet.kill(at: index)
            for id in ids { killTimes[id] = time }
            if !ids.isEmpty { outcome.fired += 1 }
            try fleet.start()
        }

        private mutating func check(_ confirmed: [StreamID: Int]) throws {
            var times: [Int: [UInt64]] = [:]
            for worker in fleet.living + fleet.dead {
                for effect in try worker.effects where effect.kind == .done {
                    times[effect.number, default: []].append(effect.time)
                }
            }
            outcome.tried = confirmed.count
            outcome.lost = confirmed.values.count { times[$0] == nil }
            outcome.duplicated = times.values.reduce(0) { $0 + $1.count - 1 }
            outcome.demand(outcome.lost == 0, "\(outcome.lost) confirmed messages were not handled")
            outcome.notes.append("\(killTimes.count) messages were held by consumers that were killed")
            var abandoned = 0
            for (id, killed) in killTimes {
                guard let number = confirmed[id] else { continue }
                guard let next = times[number]?.filter({ $0 > killed }).min() else {
                    abandoned += 1
                    continue
                }
                outcome.recovered(in: .nanoseconds(next - killed))
            }
            outcome.demand(
                abandoned == 0,
                "\(abandoned) messages of killed consumers were handled by no other consumer"
            )
            let slowest = outcome.slowestRecovery ?? .zero
            outcome.demand(slowest <= Fleet.lease + .seconds(1), "takeover took \(slowest.seconds) s")
        }
    }
}
