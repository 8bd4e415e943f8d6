import ChaosWork
import RedisStreams

/// All consumers of a group are replaced one after the other, ten times; half of them are killed. Their names are
/// generated.
struct RollingRestarts: ChaosCase {
    let name = "rolling-restarts"
    let summary = "ten rolling restarts with generated names and kills: nothing is lost, and no name is left"
    let control = Control(
        off: "claiming the messages of dead consumers (claimIdleTime = nil)",
        sign: "names of dead consumers"
    )

    private static let stream = StreamKey("stream")

    func run(_ scene: Scene) async throws -> Outcome {
        try await ChaosServer.with(scene.server) { server in
            try await server.withController { redis in
                try await redis.xgroupCreate(Self.stream, group: Consumers.group, from: .beginning, createStream: true)
                let load = Load(redis, Self.stream, count: .max, rate: 1_500)
                let loading = Task { try await load.run() }
                defer { loading.cancel() }
                var fleet = Fleet(server, redis, Self.stream, hasLeases: !scene.isControl)
                let (rolls, size) = (scene.count(10, quick: 10), scene.count(4, quick: 2))
                var outcome = Outcome(planned: rolls * size)
                for _ in 0..<size { try fleet.start(hasGeneratedName: true) }
                for roll in 0..<rolls {
                    for number in 0..<size {
                        try fleet.start(hasGeneratedName: true)
                        let kills = (roll + number).isMultiple(of: 2)
                        if kills { try await fleet.killOldest() } else { try await fleet.shutDownOldest() }
                        outcome.fired += 1
                    }
                }
                loading.cancel()
                try await loading.value
                try await fleet.check(load, within: .seconds(scene.isControl ? 5 : 20), &outcome)
                await checkNames(of: fleet, redis, &outcome)
                try await fleet.end()
                return outcome
            }
        }
    }

    /// Checks that the names of dead consumers are removed. The name of one that held nothing when it was killed stays
    /// for an hour.
    private func checkNames(of fleet: Fleet, _ redis: RedisClient, _ outcome: inout Outcome) async {
        let living = Set(fleet.living.compactMap(\.consumerName))
        var left: [String] = []
        let time = try? await eventually("names of dead consumers are gone", within: Fleet.lease * 2 + .seconds(1)) {
            let names = try await redis.xinfoConsumers(Self.stream, group: Consumers.group).map(\.name)
            left = names.filter { !living.contains($0) }
            return left.count <= 1 + fleet.idleKills
        }
        if let time { outcome.recovered(in: time) }
        outcome.notes.append(
            "\(left.count) names left of \(fleet.dead.count), \(fleet.idleKills) killed with nothing pending; "
                + "recovery: from the last message until their names were gone"
        )
        outcome.demand(time != nil, "\(left.count) names of dead consumers are left")
    }
}
