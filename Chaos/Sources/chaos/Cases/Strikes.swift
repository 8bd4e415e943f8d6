import ChaosWork
import RedisStreams
import Synchronization

/// Everything that others can do to a stream while a consumer uses it, on all servers.
struct Strikes: ChaosCase {
    let name = "strikes"
    let summary = "streams, groups and connections that are deleted, replaced, moved; on all servers"
    let control = Control(
        off: "the consumer: a plain loop of XREADGROUP and XACK instead",
        sign: "added afterwards is handled"
    )
    let needsAllServers = true

    func run(_ scene: Scene) async throws -> Outcome {
        try await withThrowingTaskGroup(of: Outcome.self) { group in
            for binary in scene.servers { group.addTask { try await run(scene, on: binary) } }
            var outcome = Outcome()
            for try await part in group { outcome.add(part) }
            return outcome
        }
    }

    private func run(_ scene: Scene, on binary: ServerBinary) async throws -> Outcome {
        try await ChaosServer.with(binary) { server in
            var outcome = Outcome()
            for strike in Strike.allCases {
                for isBusy in [false, true] {
                    await play("\(binary.name), \(strike), \(isBusy ? "busy" : "waiting")", &outcome) { part in
                        try await StrikeRound(server: server, strike: strike, isBusy: isBusy, isNaive: scene.isControl)
                            .play(&part)
                    }
                }
            }
            for strike in Strike.againstStreams {
                await play("\(binary.name), \(strike), fan-out", &outcome) { part in
                    try await FanOutRound(server: server, strike: strike).play(&part)
                }
            }
            return outcome
        }
    }

    /// Plays a round. If it throws, the error becomes a problem, and the next round is played.
    private func play(
        _ name: String,
        _ outcome: inout Outcome,
        _ round: (inout Outcome) async throws -> Void
    ) async {
        outcome.planned += 1
        do {
            try await round(&outcome)
        } catch {
            outcome.problems.append("\(name): \(error)")
        }
    }
}

/// One strike at one consumer, which waits for messages or is busy all the time.
private struct StrikeRound: Sendable {
    /// The time within which the consumer must go on. Its reads block for half a second.
    static let bound = Duration.seconds(2)

    let server: ChaosServer
    let strike: Strike
    let isBusy: Bool
    /// Whether a plain loop replaces the consumer.
    let isNaive: Bool
    let stream: StreamKey
    private let victim = "victim"
    private let handled = Handled()

    init(server: ChaosServer, strike: Strike, isBusy: Bool, isNaive: Bool) {
        (self.server, self.strike, self.isBusy, self.isNaive) = (server, strike, isBusy, isNaive)
        stream = StreamKey("\(strike)-\(isBusy)")
    }

    func play(_ outcome: inout Outcome) async throws {
        let part = try await server.withController { controller in
            try await server.withClient(name: victim) { redis in
                let consumer = Task { try await consume(redis) }
                defer { consumer.cancel() }
                var part = Outcome()
                let next = try await begin(controller)
                let load = isBusy ? Task { await addMessages(from: next) } : nil
                defer { load?.cancel() }
                try await strike.strike(controller, stream, at: victim)
                part.fired += 1
                if strike.isFinal {
                    part.recovered(in: try await end(of: consumer))
                } else {
                    try await checkAfter(controller, &part)
                    load?.cancel()
                    await load?.value
                    try await eventually("everything is acknowledged", within: .seconds(5)) {
                        (try? await Consumers.drained(controller, stream, within: .milliseconds(1))) != nil
                    }
                }
                return part
            }
        }
        outcome.add(part)
    }

    // MARK: Before

    /// Returns the number of the next message.
    private func begin(_ redis: RedisClient) async throws -> Int {
        try await redis.xadd(stream, ["n": 1])
        try await eventually("the first message is handled") { handled.contains(1) }
        if isBusy { return 2 }
        try await eventually("the consumer waits") { try await redis.info("clients")["blocked_clients"] != "0" }
        return 2
    }

    private func addMessages(from first: Int) async {
        try? await server.withController { redis in
            var number = first
            while !Task.isCancelled {
                _ = try? await redis.xadd(stream, ["n": .integer(number)])
                number += 1
            }
        }
    }

    // MARK: After

    /// Adds messages as soon as the server accepts them, and checks that each is handled in time.
    private func checkAfter(_ redis: RedisClient, _ part: inout Outcome) async throws {
        for number in 1_000_000..<1_000_003 {
            part.tried += 1
            try await eventually("a message is added", within: .seconds(5)) {
                (try? await redis.xadd(stream, ["n": .integer(number)])) != nil
            }
            do {
                part.recovered(
                    in: try await eventually(
                        "a message added afterwards is handled",
                        within: Self.bound,
                        every: .milliseconds(1)
                    ) {
                        handled.contains(number)
                    }
                )
            } catch {
                part.lost += 1
                throw error
            }
        }
    }

    /// Waits for the error that the consumer has to throw.
    private func end(of consumer: Task<Void, any Error>) async throws -> Duration {
        let start = ContinuousClock.now
        let ended = Task { await consumer.result }
        let deadline = Task {
            try await Task.sleep(for: Self.bound)
            consumer.cancel()
        }
        let result = await ended.value
        deadline.cancel()
        if case .failure(let error) = result, (error as? RedisError)?.code == .wrongType {
            return ContinuousClock.now - start
        }
        throw Failure("The consumer has to throw wrongType, not \(result).")
    }

    // MARK: The consumer

    private func consume(_ redis: RedisClient) async throws {
        if isNaive { return try await consumeNaively(redis) }
        var configuration = GroupConsumer.Configuration.chaotic
        configuration.block = .milliseconds(500)
        configuration.claimIdleTime = .seconds(1)
        configuration.backoff.limit = .milliseconds(100)
        try await GroupConsumer(
            redis,
            stream: stream,
            group: Consumers.group,
            consumer: victim,
            configuration: configuration
        ).run { message in
            if let number = message["n"].flatMap({ Int($0) }) { handled.add(number) }
        }
    }

    /// A plain loop, without any handling of failures.
    private func consumeNaively(_ redis: RedisClient) async throws {
        try await redis.xgroupCreate(stream, group: Consumers.group, from: .beginning, createStream: true)
        while !Task.isCancelled {
            let batches = try await redis.xreadgroup(
                group: Consumers.group,
                consumer: victim,
                streams: [.init(stream, .new)],
                block: .milliseconds(500)
            )
            for message in batches.joined() {
                if let number = message["n"].flatMap({ Int($0) }) { handled.add(number) }
                try await redis.xack(stream, group: Consumers.group, ids: [message.id])
            }
        }
    }
}
