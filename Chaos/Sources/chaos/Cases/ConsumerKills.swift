import ChaosWork
import RedisStreams

/// Processes of consumers are killed under load; others take over what they held.
struct ConsumerKills: ChaosCase {
    let name = "consumer-kills"
    let summary = "SIGKILL of consumers under load; takeover within the lease and a second"
    let control = Control(off: "claiming what the dead held (claimIdleTime = nil)", sign: "by nobody else")

    private static let lease = Duration.seconds(2)

    func run(_ scene: Scene) async throws -> Outcome {
        try await ChaosServer.with(scene.server) { server in
            try await server.withController { redis in
                var play = Play(scene: scene, server: server, redis: redis, lease: Self.lease)
                return try await play.run()
            }
        }
    }

    /// One run.
    private struct Play {
        let scene: Scene
        let server: ChaosServer
        let redis: RedisClient
        let lease: Duration
        let stream = StreamKey("stream")

        var workers: [WorkerProcess] = []
        var dead: [WorkerProcess] = []
        /// When the last consumer was killed that held the message.
        var killTimes: [StreamID: UInt64] = [:]
        var outcome = Outcome()

        init(scene: Scene, server: ChaosServer, redis: RedisClient, lease: Duration) {
            (self.scene, self.server, self.redis, self.lease) = (scene, server, redis, lease)
        }

        mutating func run() async throws -> Outcome {
            let (count, kills) = (scene.count(200_000, quick: 20_000), scene.count(50, quick: 6))
            outcome.planned = kills
            try await redis.xgroupCreate(stream, group: Consumers.group, from: .beginning, createStream: true)
            // So that the kills are spread over the messages.
            let load = Load(redis, stream, count: count, rate: 2_500)
            var random = scene.random
            for _ in 0..<4 { try start() }
            let loading = Task { try await load.run() }
            defer { loading.cancel() }
            for kill in 1...kills {
                try await load.reached(count * kill / (kills + 1))
                try await strike(workers.indices.randomElement(using: &random) ?? 0)
            }
            try await loading.value
            do {
                try await Consumers.drained(redis, stream, within: scene.isControl ? .seconds(6) : .seconds(30))
            } catch {
                outcome.problems.append("\(error)")
            }
            outcome.problems += workers.compactMap(\.failure)
            for worker in workers { try await worker.kill() }
            try check(load.confirmed)
            return outcome
        }

        private mutating func start() throws {
            let name = "w\(workers.count + dead.count)"
            var order = WorkOrder(
                url: "unix://\(server.folder)/socket",
                stream: stream.rawValue,
                group: Consumers.group,
                name: name,
                effects: "\(server.folder)/\(name)"
            )
            order.leaseMilliseconds = scene.isControl ? nil : Int(lease / .milliseconds(1))
            order.handlingMicroseconds = 5000
            workers.append(try WorkerProcess(order))
        }

        /// Kills a consumer that holds messages, and starts another.
        private mutating func strike(_ index: Int) async throws {
            let victim = workers.remove(at: index)
            dead.append(victim)
            // Stopped first: else it may have finished everything in between.
            try await eventually("\(victim.name) holds messages", every: .milliseconds(1)) {
                if let failure = victim.failure { throw Failure(failure) }
                victim.stop()
                let holdsSome = try await !held(by: victim, atMost: 1).isEmpty
                if !holdsSome { victim.goOn() }
                return holdsSome
            }
            try await victim.kill()
            let time = Effect.now
            let ids = try await held(by: victim, atMost: 100_000)
            for id in ids { killTimes[id] = time }
            if !ids.isEmpty { outcome.fired += 1 }
            try start()
        }

        private func held(by worker: WorkerProcess, atMost count: Int) async throws -> [StreamID] {
            try await redis.xpending(stream, group: Consumers.group, count: count, consumer: worker.name).map(\.id)
        }

        private mutating func check(_ confirmed: [StreamID: Int]) throws {
            var times: [Int: [UInt64]] = [:]
            for worker in workers + dead {
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
            outcome.demand(abandoned == 0, "\(abandoned) messages of the dead were handled by nobody else")
            let slowest = outcome.slowestRecovery ?? .zero
            outcome.demand(slowest <= lease + .seconds(1), "takeover took \(slowest.seconds) s")
        }
    }
}
