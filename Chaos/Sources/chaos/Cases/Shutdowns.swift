import ChaosWork
import Logging
import RedisStreams
import ServiceLifecycle
import Synchronization

/// Consumers are shut down while all their handlers are busy.
struct Shutdowns: ChaosCase {
    let name = "shutdowns"
    let summary = "graceful shutdowns under load: in time, finished messages acknowledged, others claimable at once"
    let control = Control(off: "returning unfinished messages to the group", sign: "cannot be claimed at once")

    func run(_ scene: Scene) async throws -> Outcome {
        try await ChaosServer.with(scene.server) { server in
            try await server.withController { controller in
                try await server.withClient { redis in
                    let rounds = scene.count(100, quick: 10)
                    let load = Load(controller, "stream", count: .max, rate: 2000)
                    let loading = Task { try await load.run() }
                    var outcome = Outcome(planned: rounds)
                    let handled = Handled()
                    var random = scene.random
                    for round in 0..<rounds {
                        let time = Duration.milliseconds(Int.random(in: 50...300, using: &random))
                        let shutdown = Shutdown(round, scene: scene, redis: redis, controller, handled)
                        try await shutdown.play(after: time, &outcome)
                    }
                    loading.cancel()
                    try await loading.value
                    try await finish(redis, controller, load, handled, &outcome)
                    return outcome
                }
            }
        }
    }

    /// Lets another consumer handle the remaining messages.
    private func finish(
        _ redis: RedisClient,
        _ controller: RedisClient,
        _ load: Load,
        _ handled: Handled,
        _ outcome: inout Outcome
    ) async throws {
        let last = Consumers(redis, "stream", count: 1, concurrency: 16)
        try await last.running { number, _ in
            handled.add(number)
        } _: {
            do { try await Consumers.drained(controller, "stream", within: .seconds(20)) } catch {
                outcome.problems.append("\(error)")
            }
        }
        let numbers = Array(load.confirmed.values)
        outcome.tried = numbers.count
        outcome.lost = handled.missing(of: numbers).count
        outcome.duplicated = handled.duplicates
        outcome.demand(outcome.lost == 0, "\(outcome.lost) confirmed messages were not handled")
        outcome.notes.append("recovery: from the signal until the consumer had ended")
    }
}

/// One consumer, from its start to its shutdown.
private final class Shutdown: Sendable {
    private static let stream: StreamKey = "stream"
    private static let deadline = Duration.milliseconds(300)
    /// Longer than the case runs: a message can be claimed only if its consumer has returned it.
    private static let lease = Duration.seconds(30)

    private let name: String
    private let scene: Scene
    private let redis: RedisClient
    private let controller: RedisClient
    private let handled: Handled
    /// The messages that this consumer has finished.
    private let finished = Mutex<Set<StreamID>>([])

    init(_ round: Int, scene: Scene, redis: RedisClient, _ controller: RedisClient, _ handled: Handled) {
        name = "c\(round)"
        (self.scene, self.redis, self.controller, self.handled) = (scene, redis, controller, handled)
    }

    func play(after time: Duration, _ outcome: inout Outcome) async throws {
        var configuration = GroupConsumer.Configuration.chaotic
        configuration.claimIdleTime = Self.lease
        configuration.shutdownDeadline = Self.deadline
        if scene.isControl { configuration.turnOff(.handOver) }
        let service = GroupConsumer(
            redis,
            stream: Self.stream,
            group: Consumers.group,
            consumer: name,
            configuration: configuration
        ).service(concurrency: 8) { message in try await self.handle(message) }
        let logger = Logger(label: "chaos", factory: { _ in SwiftLogNoOpLogHandler() })
        let services = ServiceGroup(services: [service], logger: logger)
        let running = Task { try await services.run() }
        try await eventually("\(name) handles messages") { finished.withLock { !$0.isEmpty } }
        try await Task.sleep(for: time)
        let start = ContinuousClock.now
        await services.triggerGracefulShutdown()
        _ = try await running.value
        let duration = ContinuousClock.now - start
        outcome.fired += 1
        outcome.recovered(in: duration)
        outcome.demand(duration <= Self.deadline + .milliseconds(500), "\(name) took \(duration.seconds) s to end")
        try await checkRest(&outcome)
    }

    /// Most handlers are quick; some take longer than the shutdown deadline.
    private func handle(_ message: GroupMessage) async throws {
        guard let number = message["n"].flatMap({ Int($0) }) else { throw Failure("A message has no number.") }
        try await Task.sleep(for: number % 100 == 7 && !message.isRedelivered ? .seconds(5) : .milliseconds(2))
        handled.add(number)
        finished.withLock { _ = $0.insert(message.id) }
    }

    /// Checks that finished messages are acknowledged, and that another consumer can claim all others at once.
    private func checkRest(_ outcome: inout Outcome) async throws {
        let rest = try await controller.xpending(
            Self.stream,
            group: Consumers.group,
            count: 100_000,
            consumer: name
        ).map(\.id)
        let unacknowledged = finished.withLock { $0.intersection(rest) }.count
        outcome.demand(unacknowledged == 0, "\(name) left \(unacknowledged) finished messages unacknowledged")
        if rest.isEmpty {
            let names = try await controller.xinfoConsumers(Self.stream, group: Consumers.group).map(\.name)
            outcome.demand(!names.contains(name), "\(name) has nothing pending, and is still in the group")
            return
        }
        let claimed = try await controller.xautoclaim(
            Self.stream,
            group: Consumers.group,
            consumer: "next",
            minIdle: Self.lease,
            count: 10_000
        ).messages
        let left = Set(rest).subtracting(claimed.map(\.id)).count
        outcome.demand(left == 0, "\(name) left \(left) of \(rest.count) messages that cannot be claimed at once")
        for message in claimed { if let number = message["n"].flatMap({ Int($0) }) { handled.add(number) } }
        if !claimed.isEmpty {
            try await controller.xack(Self.stream, group: Consumers.group, ids: claimed.map(\.id))
        }
        // Removes the consumer, so that the next round starts without it.
        if left == 0 { try await controller.xgroupDelConsumer(Self.stream, group: Consumers.group, consumer: name) }
    }
}
