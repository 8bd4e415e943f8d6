import Logging
import RedisStreams
import ServiceLifecycle

/// A producer, and consumers of a group that are replaced when they end.
///
// SAFETY: there is one thread.
final class GroupScenario: @unchecked Sendable {
    static let stream: StreamKey = "orders"
    static let group = "billing"

    let world: World
    let plan: GroupPlan
    private var consumers: [Node] = []
    private var lastConsumer = 0
    private var hasProduced = false
    private var isClosing = false

    init(_ world: World, _ plan: GroupPlan) {
        self.world = world
        self.plan = plan
        world.recovery = plan.lease + plan.lease + .seconds(10)
    }

    // MARK: The run

    /// Runs everything, and returns how long it took after the last fault until all was handled.
    func run() throws -> VirtualTime {
        world.server.watched = (Self.stream, Self.group)
        world.server.onSettling = { [world] node, before, after in
            let left = Set(after.map(\.id))
            for pending in before where !left.contains(pending.id) {
                world.checker.settled(pending.id, of: pending.consumer, by: node)
            }
        }
        for _ in 0..<plan.consumers { try startConsumer() }
        try startProducer()
        let faultTime = plan.duration + plan.lease
        world.plan(plan.faults, count: plan.faultCount, within: faultTime, lease: plan.lease, setting: setting)
        world.run(for: .seconds(600)) { hasProduced }
        world.run(for: plan.lease)
        world.calmDown()
        let calm = world.now
        if !world.run(for: patience, until: isSettled) { tellWhatIsLeft() }
        let recovery = world.now - calm
        try close()
        return recovery
    }

    /// How long everything may take once there are no more faults.
    private var patience: VirtualTime {
        VirtualTime(nanoseconds: plan.lease.nanoseconds * 12) + .seconds(120)
    }

    private var nextLook = VirtualTime.zero
    private var wasSettled = false

    /// Whether all is handled and nothing is pending. Asks the server now and then only.
    private func isSettled() -> Bool {
        guard world.now >= nextLook else { return wasSettled }
        nextLook = world.now + .milliseconds(100)
        wasSettled = world.checker.running.isEmpty && world.checker.missing.isEmpty
            && world.server.pending().isEmpty
        return wasSettled
    }

    private func tellWhatIsLeft() {
        let missing = world.checker.missing
        let pending = world.server.pending()
        if !missing.isEmpty {
            world.checker.violated(.nothingLost, "\(missing.prefix(5)) (\(missing.count)) were never handled")
        }
        if !pending.isEmpty {
            world.checker.violated(.endsClean, "\(pending.prefix(5)) (\(pending.count)) are pending in the end")
        }
        if missing.isEmpty, pending.isEmpty {
            world.checker.violated(.endsClean, "handlers still run")
        }
    }

    private func close() throws {
        isClosing = true
        for node in consumers where !node.isEnding {
            node.shutDown()
        }
        let limit = VirtualTime.seconds(60)
        if !world.run(for: limit, until: { self.consumers.allSatisfy(\.hasEnded) }) {
            let names = consumers.filter { !$0.hasEnded }.map(\.name)
            world.checker.violated(.shutdownInTime, "\(names) have not ended \(limit) ms after they were asked to")
        }
    }

    // MARK: Consumers

    private func startConsumer(named old: String? = nil) throws {
        lastConsumer += 1
        let name = old ?? "c\(lastConsumer)"
        let node = try world.start(name, runsClient: false) { [self] client, node in
            let consumer = GroupConsumer(
                client,
                stream: Self.stream,
                group: Self.group,
                consumer: name,
                configuration: plan.configuration
            )
            let service = consumer.service(concurrency: plan.concurrency) { [self] message in
                try await handle(message, at: node)
            }
            try await runServices(client, service, at: node)
        }
        consumers.append(node)
        watch(node)
    }

    private func runServices(_ client: RedisClient, _ service: some Service, at node: Node) async throws {
        let logger = Logger(label: "simulation", factory: { _ in SwiftLogNoOpLogHandler() })
        let services = ServiceGroup(services: [client, service], logger: logger)
        node.onShutdown = {
            Task.detached(executorPreference: node.process) { await services.triggerGracefulShutdown() }
        }
        try await services.run()
    }

    /// Has a consumer replaced that has ended by itself, as whatever supervises processes would.
    private func watch(_ node: Node) {
        world.scheduler.after(.seconds(1)) { [self] in
            guard !isClosing, !node.isEnding else { return }
            if node.hasEnded { return replace(node, after: .seconds(1)) }
            watch(node)
        }
    }

    private func replace(_ node: Node, after delay: VirtualTime) {
        node.isEnding = true
        let keepsName = world.random.oneIn(2) && node.hasEnded
        world.scheduler.after(delay) { [self] in
            if !isClosing { try? startConsumer(named: keepsName ? node.name : nil) }
        }
    }

    private var setting: FaultSetting {
        FaultSetting(
            victims: { [self] in consumers },
            replace: { [self] node, _ in replace(node, after: world.random.duration(milliseconds: 1...5000)) },
            destroy: { _ in }
        )
    }

    // MARK: Handlers

    struct HandlerFailed: Error {}

    private func handle(_ message: GroupMessage, at node: Node) async throws {
        let run = world.checker.begin(message.id, at: node)
        let time = plan.handlerTime(&world.random)
        let fails = world.random.oneIn(plan.failOneIn)
        do {
            try await withTaskCancellationHandler {
                if time > .zero { try await sleep(time, on: node.process) }
            } onCancel: {
                world.checker.told(run)
            }
        } catch {
            world.checker.end(run, .abandoned)
            throw error
        }
        world.checker.end(run, fails ? .failed : .done)
        if fails { throw HandlerFailed() }
    }

    // MARK: The producer

    private func startProducer() throws {
        try world.start("producer") { [self] client, node in
            let gap = VirtualTime(nanoseconds: plan.duration.nanoseconds / Int64(plan.messages))
            for number in 1...plan.messages {
                try await sleep(world.random.oneIn(2) ? .zero : gap + gap, on: node.process)
                await produce(number, client, node)
            }
            hasProduced = true
        }
    }

    /// Adds a message, until it is known that it was not added or that it was.
    private func produce(_ number: Int, _ client: RedisClient, _ node: Node) async {
        while true {
            do throws(RedisError) {
                return world.checker.confirmed(try await client.xadd(Self.stream, ["n": "\(number)"]))
            } catch {
                world.trace.note("producer", "could not add \(number): \(error.code)")
                // It may be there; nobody was told so.
                if error.mayHaveExecuted == true { return }
                try? await sleep(.milliseconds(50), on: node.process)
                if Task.isCancelled { return }
            }
        }
    }
}
