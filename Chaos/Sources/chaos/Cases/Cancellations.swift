import ChaosWork
import RedisStreams

/// Tasks of all kinds are cancelled at random moments.
struct Cancellations: ChaosCase {
    let name = "cancellations"
    let summary = "random cancellations: no caller gets another's reply, and no connection leaks"
    let control = Control(
        off: "the order of replies (the proxy drops one), and the return of a connection to the pool",
        sign: "not its own"
    )

    /// How many connections may be leased at a time.
    private static let leases = 16

    func run(_ scene: Scene) async throws -> Outcome {
        try await ChaosServer.with(scene.server) { server in
            try await server.withController { controller in
                let name = "victim"
                let outcome = try await ChaosProxy.with(to: server.port, seed: scene.seed) { proxy in
                    try await server.withClient(port: scene.isControl ? proxy.port : nil, name: name) {
                        $0.connection.commandTimeout = .seconds(5)
                        $0.maxLeasedConnections = Self.leases
                    } _: { redis in
                        try await play(scene, redis, Observer(controller, name), proxy)
                    }
                }
                return try await checkEnd(outcome, Observer(controller, name))
            }
        }
    }

    private func play(
        _ scene: Scene,
        _ redis: RedisClient,
        _ observer: Observer,
        _ proxy: ChaosProxy
    ) async throws -> Outcome {
        let count = scene.count(10_000, quick: 1000)
        let mixed = Failures()
        var (outcome, random) = (Outcome(planned: count), scene.random)
        try await Self.leaseAll(redis)
        let before = try await observer.settledConnections()
        while outcome.fired < count {
            if scene.isControl { proxy.dropReply() }
            let works = (0..<200).map { _ in CancelledWork.allCases.randomElement(using: &random) ?? .echo }
            let tasks = works.enumerated().map { number, work in
                // Each value is used once, so that a wrong reply is noticed.
                let value = "\(outcome.tried + number)-\(UInt64.random(in: 1_000...9_999_999, using: &random))"
                return Task {
                    if try await !work.run(value, redis) {
                        mixed.add("a caller got a reply that was not its own: \(work)")
                    }
                }
            }
            for task in tasks.shuffled(using: &random) {
                if Int.random(in: 0..<8, using: &random) == 0 {
                    try await Task.sleep(for: .microseconds(Int.random(in: 1...3000, using: &random)))
                }
                task.cancel()
            }
            outcome.tried += tasks.count
            for task in tasks where await task.wasInterrupted { outcome.fired += 1 }
        }
        outcome.problems += mixed.all
        if scene.isControl { await Self.leak(redis) }
        // If a connection has leaked, there are not enough left.
        do { try await Self.leaseAll(redis) } catch {
            outcome.problems.append("a connection was not returned to the pool: \(error)")
        }
        var after = 0
        do {
            // The server may list a closed connection for a moment.
            try await eventually("there are no more than \(before) connections", within: .seconds(3)) {
                after = try await observer.connections()
                return after <= before
            }
        } catch {
            outcome.problems.append("\(after) connections instead of \(before)")
        }
        outcome.notes.append("\(before) connections before, \(after) after")
        return outcome
    }

    /// Leases the maximum number of connections, all at the same time.
    private static func leaseAll(_ redis: RedisClient) async throws {
        // Opens the shared connection, which is counted, too.
        try await redis.ping()
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<leases {
                group.addTask {
                    _ = try await redis.xread([StreamOffset(StreamKey("empty-\(number)"))], block: .milliseconds(300))
                }
            }
            try await group.waitForAll()
        }
        guard ContinuousClock.now - start < .seconds(2) else { throw Failure("leasing \(leases) took too long") }
    }

    private static func leak(_ redis: RedisClient) async {
        Task { _ = try await redis.xread([StreamOffset("leaked")], block: .seconds(30)) }
        try? await Task.sleep(for: .milliseconds(50))
    }

    private func checkEnd(_ outcome: Outcome, _ observer: Observer) async throws -> Outcome {
        var outcome = outcome
        do {
            try await eventually("the client's connections are closed", within: .seconds(5)) {
                try await observer.connections() == 0
            }
        } catch {
            outcome.problems.append("\(error)")
        }
        return outcome
    }
}

/// Counts the connections that a server has from a client.
private struct Observer {
    private let controller: RedisClient
    private let name: String

    init(_ controller: RedisClient, _ name: String) {
        (self.controller, self.name) = (controller, name)
    }

    func connections() async throws -> Int {
        try await controller.connections(of: name).count
    }

    /// The number of connections once it no longer changes.
    func settledConnections() async throws -> Int {
        var last = try await connections()
        try await eventually("the number of connections stays the same", every: .milliseconds(100)) {
            let now = try await connections()
            defer { last = now }
            return now == last
        }
        return last
    }
}

extension Task where Success == Void, Failure == any Error {
    /// Whether the task ended because it was cancelled.
    fileprivate var wasInterrupted: Bool {
        get async {
            do {
                try await value
                return false
            } catch {
                return error is CancellationError || (error as? RedisError)?.code == .cancelled
            }
        }
    }
}
