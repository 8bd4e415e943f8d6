import ChaosWork
import RedisStreams

/// Processes are stopped for two leases while they handle a message. As soon as they continue, their handlers ask
/// whether they still hold it.
struct ContinuedOwners: ChaosCase {
    let name = "continued-owners"
    let summary = "owners that are stopped for two leases: isHeld and leaseLost say at once that the lease is lost"
    let control = Control(off: "leases (claimIdleTime = nil)", sign: "was reported as held")

    func run(_ scene: Scene) async throws -> Outcome {
        try await ChaosServer.with(scene.server) { server in
            try await server.withController { redis in
                let (rounds, pairs) = (scene.count(200, quick: 16), 8)
                return try await withThrowingTaskGroup(of: Outcome.self) { group in
                    for pair in 0..<pairs {
                        group.addTask {
                            try await AskedPair(pair, scene: scene, server: server, redis: redis).play(rounds / pairs)
                        }
                    }
                    var outcome = Outcome()
                    for try await part in group { outcome.add(part) }
                    outcome.notes = ["recovery: from the stop until another consumer had handled the message"]
                    return outcome
                }
            }
        }
    }
}

/// Two processes that share a stream: each claims the message of the other while that is stopped.
private struct AskedPair: Sendable {
    private static let lease = Duration.milliseconds(500)

    private let redis: RedisClient
    private let stream: StreamKey
    private let workers: [WorkerProcess]
    private let isControl: Bool

    init(_ number: Int, scene: Scene, server: ChaosServer, redis: RedisClient) throws {
        (self.redis, isControl) = (redis, scene.isControl)
        let stream = "in-\(number)"
        self.stream = StreamKey(stream)
        workers = try ["a", "b"].map { name in
            var order = WorkOrder(
                url: "unix://\(server.folder)/socket",
                stream: stream,
                group: Consumers.group,
                name: name,
                effects: "\(server.folder)/\(number)-\(name)"
            )
            order.concurrency = 1
            order.leaseMilliseconds = scene.isControl ? nil : Int(Self.lease / .milliseconds(1))
            order.asksAfterMilliseconds = Int(Self.lease * 1.5 / .milliseconds(1))
            return try WorkerProcess(order)
        }
    }

    func play(_ rounds: Int) async throws -> Outcome {
        var outcome = Outcome(planned: rounds)
        for number in 0..<rounds {
            try await redis.xadd(stream, ["n": .integer(number)])
            let owner = try await worker(that: .begun, number)
            owner.stop()
            let start = ContinuousClock.now
            if !isControl {
                _ = try await worker(that: .done, number)
                outcome.recovered(in: ContinuousClock.now - start)
            }
            try await Task.sleep(until: start + Self.lease * 2, clock: .continuous)
            owner.resume()
            outcome.fired += 1
            let answers = try await answers(of: owner, number)
            outcome.demand(answers == [.lost], "message \(number) of \(stream) was reported as held")
        }
        outcome.tried = rounds
        do { try await Consumers.drained(redis, stream, within: .seconds(10)) } catch {
            outcome.problems.append("\(error)")
        }
        outcome.problems += workers.compactMap(\.failure)
        for worker in workers { try await worker.kill() }
        return outcome
    }

    /// Waits until one of the two has written this effect on the message.
    private func worker(that kind: Effect.Kind, _ number: Int) async throws -> WorkerProcess {
        var found: WorkerProcess?
        try await eventually("message \(number) is \(kind)", within: .seconds(10), every: .milliseconds(2)) {
            if let failure = workers.compactMap(\.failure).first { throw Failure(failure) }
            found = try workers.first { try $0.effects.contains { $0.kind == kind && $0.number == number } }
            return found != nil
        }
        guard let found else { throw Failure("There is no such worker.") }
        return found
    }

    /// What the library has answered the handler.
    private func answers(of owner: WorkerProcess, _ number: Int) async throws -> [Effect.Kind] {
        var answers: [Effect.Kind] = []
        try await eventually("the owner of message \(number) has asked", within: .seconds(10)) {
            answers = try owner.effects.filter { $0.number == number && $0.kind != .begun }.map(\.kind)
            return !answers.isEmpty
        }
        return answers
    }
}
