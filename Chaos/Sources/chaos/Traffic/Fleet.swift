import ChaosWork
import RedisStreams

/// Consumers in their own processes, which start and end while there is load.
struct Fleet {
    static let lease = Duration.seconds(2)

    private let server: ChaosServer
    private let redis: RedisClient
    private let stream: StreamKey
    private let hasLeases: Bool

    private(set) var living: [WorkerProcess] = []
    private(set) var dead: [WorkerProcess] = []
    /// How many held no message when they were killed.
    private(set) var idleKills = 0

    /// - Parameter hasLeases: Whether consumers claim the messages of dead ones.
    init(_ server: ChaosServer, _ redis: RedisClient, _ stream: StreamKey, hasLeases: Bool) {
        (self.server, self.redis, self.stream, self.hasLeases) = (server, redis, stream, hasLeases)
    }

    mutating func start(hasGeneratedName: Bool = false, program: String = WorkerProcess.program) throws {
        let name = "w\(living.count + dead.count)"
        var order = WorkOrder(
            url: "unix://\(server.folder)/socket",
            stream: stream.rawValue,
            group: Consumers.group,
            name: name,
            effects: "\(server.folder)/\(name)"
        )
        order.hasGeneratedName = hasGeneratedName
        order.leaseMilliseconds = hasLeases ? Int(Self.lease / .milliseconds(1)) : nil
        order.handlingMicroseconds = 5000
        living.append(try WorkerProcess(order, program: program))
    }

    /// Kills the oldest consumer while it holds messages.
    mutating func killOldest() async throws {
        _ = try await kill(at: 0)
    }

    /// Kills a consumer while it holds messages. Returns when it was killed, and which messages it held.
    mutating func kill(at index: Int) async throws -> (time: UInt64, held: [StreamID]) {
        let victim = living.remove(at: index)
        dead.append(victim)
        // Stopped first: otherwise it could finish all its messages before it is killed.
        try await eventually("\(victim.name) holds messages", every: .milliseconds(1)) {
            if let failure = victim.failure { throw Failure(failure) }
            victim.stop()
            let holdsSome = try await !held(by: victim, atMost: 1).isEmpty
            if !holdsSome { victim.resume() }
            return holdsSome
        }
        try await victim.kill()
        let time = Effect.now
        let ids = try await held(by: victim, atMost: 100_000)
        if ids.isEmpty { idleKills += 1 }
        return (time, ids)
    }

    private func held(by worker: WorkerProcess, atMost count: Int) async throws -> [StreamID] {
        guard let name = worker.consumerName else { return [] }
        return try await redis.xpending(stream, group: Consumers.group, count: count, consumer: name).map(\.id)
    }

    /// Shuts the oldest consumer down once it has handled messages.
    mutating func shutDownOldest() async throws {
        let worker = living.removeFirst()
        dead.append(worker)
        try await eventually("\(worker.name) has handled messages") {
            if let failure = worker.failure { throw Failure(failure) }
            return try !worker.effects.isEmpty
        }
        try await worker.shutDown()
    }

    /// Kills all living consumers.
    func end() async throws {
        for worker in living { try await worker.kill() }
    }

    /// Waits until the remaining messages are handled, and checks that every confirmed one was.
    func check(_ load: Load, within limit: Duration, _ outcome: inout Outcome) async throws {
        do { try await Consumers.drained(redis, stream, within: limit) } catch { outcome.problems.append("\(error)") }
        outcome.problems += living.compactMap(\.failure)
        let handled = Handled()
        for worker in living + dead {
            for effect in try worker.effects where effect.kind == .done { handled.add(effect.number) }
        }
        let numbers = Array(load.confirmed.values)
        outcome.tried = numbers.count
        outcome.lost = handled.missing(of: numbers).count
        outcome.duplicated = handled.duplicates
        outcome.demand(outcome.lost == 0, "\(outcome.lost) confirmed messages were not handled")
    }
}
