import ChaosWork
import RedisStreams

/// Servers that answer and do not serve: the consumer tries again, and not too often.
struct Overload: ChaosCase {
    let name = "overload"
    let summary = "OOM, MISCONF, BUSY, LOADING, NOREPLICAS, maxclients: no retry storm, and acknowledgements go on"
    let control = Control(
        off: "the consumer: a loop that retries at once instead",
        sign: "useless requests of a consumer in a second"
    )
    let needsAllServers = true

    func run(_ scene: Scene) async throws -> Outcome {
        try await withThrowingTaskGroup(of: Outcome.self) { group in
            for binary in scene.servers { group.addTask { await run(scene, on: binary) } }
            var outcome = Outcome()
            for try await part in group { outcome.add(part) }
            outcome.notes = ["tried: refused or useless requests, in all states and on all servers"]
            return outcome
        }
    }

    private func run(_ scene: Scene, on binary: ServerBinary) async -> Outcome {
        var outcome = Outcome()
        for state in ServerState.allCases {
            outcome.planned += 1
            do {
                let part = try await ChaosServer.with(binary, state.settings(binary)) { server in
                    try await server.withController { redis in
                        try await OverloadRound(scene: scene, server: server, state: state).play(redis)
                    }
                }
                outcome.add(part)
            } catch {
                outcome.problems.append("\(binary.name), \(state): \(error)")
            }
        }
        return outcome
    }
}

/// One state of a server, and two consumers: one that runs before it, and one that starts during it.
private struct OverloadRound: Sendable {
    /// The most useless requests of a consumer in a second.
    static let most = 10.0

    let scene: Scene
    let server: ChaosServer
    let state: ServerState
    private let stream = StreamKey("stream")
    private let handled = Handled()

    init(scene: Scene, server: ChaosServer, state: ServerState) {
        (self.scene, self.server, self.state) = (scene, server, state)
    }

    func play(_ controller: RedisClient) async throws -> Outcome {
        // With the default delays.
        try await server.withClient {
            $0.backoff = Backoff()
        } _: { redis in
            let failures = Failures()
            var (consumers, outcome): ([Task<Void, Never>], Outcome) = ([], Outcome())
            defer { for consumer in consumers { consumer.cancel() } }
            if state.hasGroup { consumers.append(try await started(redis, controller, failures)) }
            let before = try await Requests(controller)
            var time = Duration.zero
            try await state.during(server, controller) {
                if state.allowsBeginning { consumers.append(start(redis, failures)) }
                time = try await observe(controller, consumers.count, &outcome)
            }
            if !state.allowsInfo {
                check(try await Requests(controller).refused - before.refused, consumers.count, in: time, &outcome)
            }
            outcome.fired += 1
            outcome.recovered(in: try await recovery(controller))
            outcome.problems += failures.all
            return outcome
        }
    }

    private func recovery(_ controller: RedisClient) async throws -> Duration {
        try await eventually("a message is added", within: .seconds(10)) {
            (try? await controller.xadd(stream, ["n": 9999])) != nil
        }
        return try await eventually("messages are handled again", within: .seconds(8), every: .milliseconds(2)) {
            handled.contains(9999)
        }
    }

    // MARK: The consumer

    private func started(
        _ redis: RedisClient,
        _ controller: RedisClient,
        _ failures: Failures
    ) async throws -> Task<Void, Never> {
        let consumer = start(redis, failures)
        try await eventually("the first message is handled", within: .seconds(5)) {
            _ = try? await controller.xadd(stream, ["n": 0])
            return handled.contains(0)
        }
        if state.allowsWork {
            for number in 1...500 { try await controller.xadd(stream, ["n": .integer(number)]) }
        }
        return consumer
    }

    private func start(_ redis: RedisClient, _ failures: Failures) -> Task<Void, Never> {
        Task {
            do {
                if scene.isControl { return await retryAtOnce(redis) }
                var configuration = GroupConsumer.Configuration()
                configuration.block = .seconds(1)
                configuration.batchSize = 10
                configuration.prefetch = 10
                // The consumer probes its rights only once, which is no retry storm.
                configuration.turnOff(.rightsProbe)
                configuration.claimIdleTime = .seconds(5)
                try await GroupConsumer(redis, stream: stream, group: Consumers.group, configuration: configuration)
                    .run(concurrency: 4, handle)
            } catch {
                failures.add("the consumer ended: \(error)")
            }
        }
    }

    private func handle(_ message: GroupMessage) async throws {
        // So that the backlog lasts until the server is out of memory.
        if state.allowsWork { try await Task.sleep(for: .milliseconds(4)) }
        if let number = message["n"].flatMap({ Int($0) }) { handled.add(number) }
    }

    /// A loop as many applications have it.
    private func retryAtOnce(_ redis: RedisClient) async {
        while !Task.isCancelled {
            do {
                let batches = try await redis.xreadgroup(
                    group: Consumers.group,
                    consumer: "naive",
                    streams: [.init(stream, .new)],
                    block: .milliseconds(500)
                )
                for message in batches.joined() {
                    if let number = message["n"].flatMap({ Int($0) }) { handled.add(number) }
                    _ = try await redis.xack(stream, group: Consumers.group, ids: [message.id])
                }
            } catch {
                try? await redis.xgroupCreate(stream, group: Consumers.group, from: .beginning, createStream: true)
            }
        }
    }

    // MARK: Observation

    /// Waits for a while, and returns how long.
    private func observe(
        _ controller: RedisClient,
        _ consumers: Int,
        _ outcome: inout Outcome
    ) async throws -> Duration {
        let start = ContinuousClock.now
        let before = state.allowsInfo ? try await Requests(controller) : Requests()
        try await Task.sleep(for: .milliseconds(scene.count(3000, quick: 2000)))
        if state.allowsWork { try await checkWork(controller) }
        let time = ContinuousClock.now - start
        guard state.allowsInfo else { return time }
        let after = try await Requests(controller)
        check(state.allowsWork ? after.refused - before.refused : after.all - before.all, consumers, in: time, &outcome)
        return time
    }

    private func check(_ counts: CommandCounts, _ consumers: Int, in time: Duration, _ outcome: inout Outcome) {
        let rate = Double(counts.total) / (time / .seconds(1)) / Double(consumers)
        outcome.tried += counts.total
        outcome.demand(
            rate <= Self.most,
            "\(server.binary.name), \(state): \(rate) useless requests of a consumer in a second: \(counts)"
        )
    }

    /// Checks that the consumer still handles and acknowledges its messages.
    private func checkWork(_ controller: RedisClient) async throws {
        try await eventually("everything is handled and acknowledged meanwhile", within: .seconds(5)) {
            let pending = try await controller.xpending(stream, group: Consumers.group).count
            return pending == 0 && handled.contains(500)
        }
    }
}

/// How often commands were sent.
private struct CommandCounts: CustomStringConvertible {
    var byName: [String: Int] = [:]

    var total: Int { byName.values.reduce(0, +) }

    var description: String {
        byName.filter { $0.value > 0 }.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(
            separator: ", "
        )
    }

    static func - (left: CommandCounts, right: CommandCounts) -> CommandCounts {
        CommandCounts(byName: left.byName.merging(right.byName, uniquingKeysWith: -))
    }
}

/// How many requests a server has received, of the commands that consumers send.
private struct Requests {
    /// Those that were executed, and those that were refused.
    var all = CommandCounts()
    /// Those that were refused, or failed.
    var refused = CommandCounts()

    private static let commands = [
        "xreadgroup", "xgroup", "xgroup|create", "xautoclaim", "xack", "xpending", "xclaim", "evalsha", "eval", "ping",
        "hello", "role", "client|id", "client|kill",
    ]

    init() {}

    init(_ redis: RedisClient) async throws {
        // An overloaded server may answer late.
        var statistics: ServerInfo?
        try await eventually("the server answers INFO", within: .seconds(30)) {
            statistics = try? await redis.info("all")
            return statistics != nil
        }
        guard let statistics else { return }
        for command in Self.commands {
            let counts = Self.counts(statistics["cmdstat_\(command)"] ?? "")
            let rejected = counts["rejected_calls"] ?? 0
            all.byName[command] = (counts["calls"] ?? 0) + rejected
            refused.byName[command] = rejected + (counts["failed_calls"] ?? 0)
        }
        let connections = statistics["rejected_connections"].flatMap { Int($0) } ?? 0
        all.byName["connections"] = connections
        refused.byName["connections"] = connections
    }

    private static func counts(_ line: String) -> [String: Int] {
        Dictionary(
            line.split(separator: ",").compactMap { part in
                let pair = part.split(separator: "=")
                return pair.count == 2 ? Int(pair[1]).map { (String(pair[0]), $0) } : nil
            },
            uniquingKeysWith: { first, _ in first }
        )
    }
}
