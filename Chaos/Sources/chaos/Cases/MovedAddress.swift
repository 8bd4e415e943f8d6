import ChaosWork
import RedisStreams

/// Repeated planned failovers behind a virtual address. After each, the address leads to the new master, and existing
/// connections stay with the old one, which is a replica now.
struct MovedAddress: ChaosCase {
    let name = "moved-address"
    let summary = "planned failovers behind a virtual address; existing connections stay with the old master"
    let control = Control(off: "the move: the address stays with the old master", sign: "messages are confirmed again")

    private static let stream = StreamKey("stream")
    /// The master starts a full synchronisation at once.
    private static let settings = [["repl-diskless-sync-delay", "0"]]

    func run(_ scene: Scene) async throws -> Outcome {
        try await ChaosServer.with(scene.server, Self.settings) { first in
            try await ChaosServer.with(scene.server, Self.settings) { second in
                try await first.withController { one in
                    try await second.withController { two in
                        let nodes = [Node(server: first, redis: one), Node(server: second, redis: two)]
                        return try await play(scene, nodes)
                    }
                }
            }
        }
    }

    private func play(_ scene: Scene, _ nodes: [Node]) async throws -> Outcome {
        try await nodes[1].follow(nodes[0])
        try await nodes[1].isLinked()
        return try await ChaosProxy.with(to: nodes[0].server.port, seed: scene.seed) { proxy in
            try await nodes[0].server.withClient(port: proxy.port) { redis in
                try await nodes[0].server.withClient(port: proxy.port) { producing in
                    try await fail(over: nodes, scene, proxy, redis, producing)
                }
            }
        }
    }

    private func fail(
        over nodes: [Node],
        _ scene: Scene,
        _ proxy: ChaosProxy,
        _ redis: RedisClient,
        _ producing: RedisClient
    ) async throws -> Outcome {
        let (count, rounds) = (scene.count(80_000, quick: 8_000), scene.count(10, quick: 2))
        let load = Load(producing, Self.stream, count: count, rate: 4_000)
        let consumers = Consumers(redis, Self.stream)
        let handled = Handled()
        var outcome = Outcome(planned: rounds)
        try await consumers.running { number, _ in
            handled.add(number)
        } _: {
            let loading = Task { try await load.run() }
            defer { loading.cancel() }
            var (master, replica) = (nodes[0], nodes[1])
            do {
                for round in 1...rounds {
                    try await load.reached(count * round / (rounds + 1))
                    try await master.handOver(to: replica, while: { if !scene.isControl { proxy.move(to: $0) } })
                    outcome.fired += 1
                    outcome.recovered(in: try await recovery(on: replica, load))
                    (master, replica) = (replica, master)
                    try await replica.isLinked()
                }
                try await loading.value
                try await Consumers.drained(master.redis, Self.stream, within: .seconds(20))
            } catch {
                outcome.problems.append("\(error)")
            }
        }
        outcome.problems += consumers.problems
        outcome.notes.append("\(proxy.connections) connections; recovery: until messages were confirmed and read again")
        outcome.check(handled, load, most: rounds * consumers.window)
        return outcome
    }

    /// Waits until messages are confirmed and read on the new master. Returns how long that took.
    private func recovery(on master: Node, _ load: Load) async throws -> Duration {
        let confirmed = load.confirmedCount
        let delivered = try await master.redis.xinfoGroups(Self.stream).first?.lastDeliveredID
        let adding = try await eventually("messages are confirmed again", within: .seconds(5)) {
            load.confirmedCount > confirmed + 100
        }
        let reading = try await eventually("messages are read again", within: .seconds(5)) {
            try await master.redis.xinfoGroups(Self.stream).first?.lastDeliveredID != delivered
        }
        return adding + reading
    }
}

/// One of the two servers, and the client with which the case controls it.
private struct Node: Sendable {
    let server: ChaosServer
    let redis: RedisClient

    func follow(_ master: Node) async throws {
        _ = try await redis.send("REPLICAOF", "127.0.0.1", .text("\(master.server.port)"))
    }

    /// Waits until this replica has synchronised with its master.
    func isLinked() async throws {
        try await eventually("the replica follows") {
            try await redis.info("replication")["master_link_status"] == "up"
        }
    }

    /// Makes the replica the master, as in a planned failover: the old master accepts no write meanwhile, so that none
    /// is lost.
    ///
    /// - Parameter move: Makes the address lead to a port.
    func handOver(to replica: Node, while move: (Int) -> Void) async throws {
        _ = try await redis.send("CLIENT", "PAUSE", "10000", "WRITE")
        try await eventually("the replica has everything", every: .milliseconds(1)) {
            let offset = try await redis.info("replication")["master_repl_offset"]
            return try await replica.redis.info("replication")["slave_repl_offset"] == offset
        }
        _ = try await replica.redis.send("REPLICAOF", "NO", "ONE")
        try await follow(replica)
        move(replica.server.port)
        _ = try await redis.send("CLIENT", "UNPAUSE")
    }
}
