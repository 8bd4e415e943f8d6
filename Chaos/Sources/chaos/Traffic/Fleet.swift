import ChaosWork
import RedisStreams

/// Consumers in processes of their own, which come and go while there is load.
struct Fleet {
    static let lease = Duration.seconds(2)

    private let server: ChaosServer
    private let redis: RedisClient
    private let stream: StreamKey
    private let hasLeases: Bool

    private(set) var living: [WorkerProcess] = []
    private(set) var dead: [WorkerProcess] = []
    /// How many were killed that held nothing in the end.
    private(set) var idleKills = 0

    /// - Parameter hasLeases: Whether what the dead held is claimed.
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

    /// Kills the one that has lived longest, while it holds messages.
    mutating func killOldest() async throws {
        let victim = living.removeFirst()
        dead.append(victim)
        // Stopped first: else it may have finished everything in between.
        try await eventually("\(victim.name) holds messages", every: .milliseconds(1)) {
            if let failure = victim.failure { throw Failure(failure) }
            victim.stop()
            let holdsSome = try await holdsSome(victim)
            if !holdsSome { victim.goOn() }
            return holdsSome
        }
        try await victim.kill()
        if try await !holdsSome(victim) { idleKills += 1 }
    }

    private func holdsSome(_ worker: WorkerProcess) async throws -> Bool {
        guard let name = worker.consumerName else { return false }
        return try await !redis.xpending(stream, group: Consumers.group, count: 1, consumer: name).isEmpty
    }

    /// Has the one that has lived longest shut down.
    mutating func shutDownOldest() async throws {
        let worker = living.removeFirst()
        dead.append(worker)
        try await eventually("\(worker.name) is at work") {
            if let failure = worker.failure { throw Failure(failure) }
            return try !worker.effects.isEmpty
        }
        try await worker.shutDown()
    }

    /// Ends all that live.
    func end() async throws {
        for worker in living { try await worker.kill() }
    }

    /// Waits for the rest to be handled, and demands that everything confirmed was.
    func check(_ load: Load, within limit: Duration, _ outcome: inout Outcome) async throws {
        do { try await Consumers.drained(redis, stream, within: limit) } catch { outcome.problems.append("\(error)") }
        outcome.problems += living.compactMap(\.failure)
        let handled = Handled()
        for worker in living + dead {
            for effect in try worker.effects where effect.kind == .done { handled.note(effect.number) }
        }
        let numbers = Array(load.confirmed.values)
        outcome.tried = numbers.count
        outcome.lost = handled.missing(of: numbers).count
        outcome.duplicated = handled.duplicates
        outcome.demand(outcome.lost == 0, "\(outcome.lost) confirmed messages were not handled")
    }
}
