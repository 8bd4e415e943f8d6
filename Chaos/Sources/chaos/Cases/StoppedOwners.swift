import ChaosWork
import RedisStreams

/// Processes are stopped while they handle a message, and continue when another consumer owns it.
struct StoppedOwners: ChaosCase {
    let name = "stopped-owners"
    let summary = "owners that are stopped and continued, with context.emit: one output for each message"
    let control = Control(off: "context.emit: the handler adds its output itself", sign: "outputs of")

    func run(_ scene: Scene) async throws -> Outcome {
        try await ChaosServer.with(scene.server) { server in
            try await server.withController { redis in
                let rounds = scene.count(500, quick: 40)
                // Each pair waits for leases to expire, most of the time.
                let pairs = 8
                return try await withThrowingTaskGroup(of: Outcome.self) { group in
                    for pair in 0..<pairs {
                        let count = (rounds + pair) / pairs
                        group.addTask {
                            try await WorkerPair(number: pair, scene: scene, server: server, redis: redis).play(count)
                        }
                    }
                    var outcome = Outcome()
                    for try await part in group { outcome.add(part) }
                    outcome.notes = ["recovery: from the stop until the message's output was there"]
                    return outcome
                }
            }
        }
    }
}

/// Two processes that share a stream.
private struct WorkerPair: Sendable {
    private static let lease = Duration.milliseconds(500)

    private let redis: RedisClient
    private let input: StreamKey
    private let output: StreamKey
    private let workers: [WorkerProcess]
    private let seed: UInt64

    init(number: Int, scene: Scene, server: ChaosServer, redis: RedisClient) throws {
        (self.redis, seed) = (redis, scene.seed &+ UInt64(number))
        let (input, output) = ("in-\(number)", "out-\(number)")
        (self.input, self.output) = (StreamKey(input), StreamKey(output))
        workers = try ["a", "b"].map { name in
            var order = WorkOrder(
                url: "unix://\(server.folder)/socket",
                stream: input,
                group: Consumers.group,
                name: name,
                effects: "\(server.folder)/\(number)-\(name)"
            )
            order.concurrency = 1
            order.leaseMilliseconds = Int(Self.lease / .milliseconds(1))
            order.handlingMicroseconds = 50_000
            order.output = output
            order.isUnfenced = scene.isControl
            return try WorkerProcess(order)
        }
    }

    func play(_ rounds: Int) async throws -> Outcome {
        var (outcome, random) = (Outcome(planned: rounds), SeededGenerator(seed: seed))
        for number in 0..<rounds {
            try await redis.xadd(input, ["n": .integer(number)])
            let owner = try await owner(of: number)
            owner.stop()
            let start = ContinuousClock.now
            if Int.random(in: 0..<5, using: &random) == 0 {
                // The owner continues when its lease is about to expire.
                try await Task.sleep(for: Self.lease * Double.random(in: 0.5...1.4, using: &random))
                owner.resume()
            }
            try await eventually("the output of message \(number) is there", within: .seconds(10)) {
                try await redis.xlen(output) > number
            }
            outcome.recovered(in: ContinuousClock.now - start)
            owner.resume()
            outcome.fired += 1
        }
        do { try await Consumers.drained(redis, input, within: .seconds(10)) } catch {
            outcome.problems.append("\(error)")
        }
        // In a control run, the second outputs come late.
        try await Task.sleep(for: .milliseconds(200))
        outcome.problems += workers.compactMap(\.failure)
        for worker in workers { try await worker.kill() }
        try await check(rounds, &outcome)
        return outcome
    }

    /// Waits until one of the two handles the message.
    private func owner(of number: Int) async throws -> WorkerProcess {
        var owner: WorkerProcess?
        try await eventually("a worker handles message \(number)", within: .seconds(10), every: .milliseconds(2)) {
            if let failure = workers.compactMap(\.failure).first { throw Failure(failure) }
            owner = try workers.first { try $0.effects.contains { $0.kind == .begun && $0.number == number } }
            return owner != nil
        }
        guard let owner else { throw Failure("There is no owner.") }
        return owner
    }

    private func check(_ rounds: Int, _ outcome: inout Outcome) async throws {
        let outputs = try await redis.xrange(output).compactMap { $0["n"].flatMap { Int($0) } }
        outcome.tried = rounds
        outcome.lost = rounds - Set(outputs).count
        outcome.duplicated = outputs.count - Set(outputs).count
        outcome.demand(outputs.sorted() == Array(0..<rounds), "\(outputs.count) outputs of \(rounds) messages")
    }
}
