import ChaosWork
import RedisStreams

/// Consumers of an older build and of this one share a group. They are killed, and each is replaced by one of either
/// build.
struct RollingUpgrade: ChaosCase {
    let name = "rolling-upgrade"
    let summary = "consumers of an older build (--old-worker) and of this one in a group, under kills (long form only)"
    let control = Control(
        off: "claiming the messages of dead consumers (claimIdleTime = nil)",
        sign: "were not handled"
    )
    let isLong = true

    private static let stream = StreamKey("stream")

    func run(_ scene: Scene) async throws -> Outcome {
        guard let old = scene.oldWorker else {
            throw Failure("There is no older build: `make chaos` builds it, and passes it with --old-worker.")
        }
        return try await ChaosServer.with(scene.server) { server in
            try await server.withController { redis in
                try await redis.xgroupCreate(Self.stream, group: Consumers.group, from: .beginning, createStream: true)
                let (count, kills) = (scene.count(120_000, quick: 20_000), scene.count(40, quick: 8))
                // The rate spreads the kills over the messages.
                let load = Load(redis, Self.stream, count: count, rate: 2_500)
                let loading = Task { try await load.run() }
                defer { loading.cancel() }
                var fleet = Fleet(server, redis, Self.stream, hasLeases: !scene.isControl)
                var (outcome, random, newOnes) = (Outcome(planned: kills), scene.random, 0)
                for _ in 0..<4 { try fleet.start(program: old) }
                for kill in 1...kills {
                    try await load.reached(count * kill / (kills + 1))
                    let isNew = Bool.random(using: &random)
                    newOnes += isNew ? 1 : 0
                    try fleet.start(program: isNew ? WorkerProcess.program : old)
                    try await fleet.killOldest()
                    outcome.fired += 1
                }
                try await loading.value
                try await fleet.check(load, within: .seconds(scene.isControl ? 6 : 30), &outcome)
                try await fleet.end()
                outcome.notes.append("\(newOnes) of \(4 + kills) consumers were of this build")
                return outcome
            }
        }
    }
}
