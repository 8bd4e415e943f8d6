import Logging
import RedisStreams
import ServiceLifecycle

/// A producer, and consumers of a group that are replaced when they end.
///
// SAFETY: there is one thread.
final class GroupScenario: @unchecked Sendable {
    static let stream: StreamKey = "orders"
    static let group = "billing"
    static let outputs: StreamKey = "orders:out"

    let world: World
    let plan: GroupPlan
    private var consumers: [Node] = []
    private var lastConsumer = 0
    private var hasProduced = false
    private var isClosing = false
    private var numbers: [StreamID: Int] = [:]

    init(_ world: World, _ plan: GroupPlan) {
        self.world = world
        self.plan = plan
        world.recovery = plan.lease + plan.lease + .seconds(10)
        world.checker.quarantineSlots = max(1, plan.concurrency / 2)
    }

    // MARK: The run

    /// Runs everything, and returns how long it took after the last fault until all was handled.
    func run() throws -> VirtualTime {
        observe()
        for _ in 0..<plan.consumers { try startConsumer() }
        checkBuffers()
        try startProducer()
        let faultTime = plan.duration + plan.lease
        world.plan(plan.faults, count: plan.faultCount, within: faultTime, lease: plan.lease, setting: setting)
        world.run(for: .seconds(600)) { hasProduced }
        world.run(for: plan.lease)
        world.calmDown()
        let calm = world.now
        checkPending(since: calm)
        if !world.run(for: settlingTimeout, until: isSettled) { reportUnsettled() }
        let recovery = world.now - calm
        if plan.waitsForNames { waitForNames() }
        close()
        if plan.emits { checkOutputs() }
        world.checker.checkReports { !$0.isAlive || $0.hinderedUntil > .zero }
        return recovery
    }

    /// Passes each settlement and its sender to the checker.
    private func observe() {
        world.server.inspected = (Self.stream, Self.group)
        world.server.onSettling = { [unowned self, world, plan] node, delay, before, after in
            let left = Set(after.map(\.id))
            for pending in before where !left.contains(pending.id) {
                let deadLetters = plan.configuration.deadLetter?.stream
                let isDeadLetter = deadLetters.map { world.server.isDeadLetter(pending.id, in: $0) } ?? false
                // Fencing by the lease allows a command a quarter of the lease on the network. One that took longer may
                // settle a message of another consumer.
                let isLate = delay.nanoseconds > plan.lease.nanoseconds / 4 && plan.configuration.fencing == .lease
                let owner = isLate ? node.name : pending.consumer
                world.checker.settled(pending.id, of: owner, by: node, isDeadLetter: isDeadLetter)
                if isDeadLetter { self.checkCrashes(of: pending.id) }
            }
        }
    }

    /// How long the consumers may take to settle everything once there are no more faults.
    private var settlingTimeout: VirtualTime {
        VirtualTime(nanoseconds: plan.lease.nanoseconds * 20) + .seconds(200)
    }

    private var nextCheck = VirtualTime.zero
    private var wasSettled = false

    /// Whether all messages are handled and none is pending. Asks the server every 100 ms of virtual time.
    private func isSettled() -> Bool {
        guard world.now >= nextCheck else { return wasSettled }
        nextCheck = world.now + .milliseconds(100)
        wasSettled =
            world.checker.running.isEmpty && world.server.pending().isEmpty && world.checker.missing.isEmpty
            && !world.checker.hasUnreportedLosses
        return wasSettled
    }

    private func reportUnsettled() {
        if world.scheduler.isInBusyLoop { return }
        let missing = world.checker.missing
        let pending = world.server.pending()
        if !missing.isEmpty {
            world.checker.violated(.nothingLost, "\(missing.prefix(5)) (\(missing.count)) were never handled")
        }
        if !pending.isEmpty {
            world.checker.violated(.endsClean, "\(pending.prefix(5)) (\(pending.count)) are pending in the end")
        }
        if missing.isEmpty, pending.isEmpty, !world.checker.running.isEmpty {
            world.checker.violated(.endsClean, "handlers still run")
        }
    }

    private func close() {
        isClosing = true
        for node in consumers where !node.isEnding { node.shutDown() }
        let limit = VirtualTime.seconds(60)
        let haveEnded = world.run(for: limit) { self.consumers.allSatisfy(\.hasEnded) }
        if !haveEnded, !world.scheduler.isInBusyLoop {
            let names = consumers.filter { !$0.hasEnded }.map(\.name)
            world.checker.violated(.shutdownInTime, "\(names) have not ended \(limit) ms after they were asked to")
        }
    }

    /// Checks that each acknowledged message has exactly one output. A rejected one need not have any.
    private func checkOutputs() {
        var counts: [String: Int] = [:]
        for id in world.server.values(of: "of", in: Self.outputs) { counts[id, default: 0] += 1 }
        for (id, record) in world.checker.records.sorted(by: { $0.key < $1.key }) {
            guard record.isSettled, !record.isDeadLetter else { continue }
            let count = counts["\(id)"] ?? 0
            if count > 1 || (count == 0 && !record.rejected) {
                world.checker.violated(.outputsOnce, "\(id) has \(count) outputs")
            }
        }
    }

    /// Checks a dead letter. A message needs `maxCrashes` crashes to become one: if fewer messages kill their process,
    /// none of the others may.
    private func checkCrashes(of id: StreamID) {
        guard plan.poisonEvery > 0, let deadLetter = plan.configuration.deadLetter, let number = numbers[id],
            !plan.isPoison(number), plan.killers + (world.fired[.pause] ?? 0) < deadLetter.maxCrashes
        else { return }
        world.checker.violated(.innocentsStay, "\(id) is a dead letter, and has crashed no process")
    }

    // MARK: Pending messages and names

    private var claimInterval: VirtualTime { min(.seconds(5), VirtualTime(nanoseconds: plan.lease.nanoseconds / 4)) }

    /// Checks that no pending message stays idle while a consumer has had a free handler for long enough to claim it.
    private func checkPending(since calm: VirtualTime, freeSince: [ObjectIdentifier: VirtualTime] = [:]) {
        guard plan.configuration.claimIdleTime != nil else { return }
        world.scheduler.after(.milliseconds(500)) { [self] in
            if isClosing { return }
            let free = unhindered.filter(isFree)
            let since = Dictionary(
                uniqueKeysWithValues: free.map { ($0.identity, freeSince[$0.identity] ?? world.now) }
            )
            // A claim scan that has passed the message finds it in its next round, and a consumer that has returned
            // messages lets others claim first.
            let claimTime = claimInterval + claimInterval + claimInterval + .seconds(2)
            let limit = plan.lease + claimTime
            if let node = free.first(where: {
                since[$0.identity].map { world.now - max($0, calm) > claimTime } ?? false
            }),
                let pending = world.server.pending().first(where: { $0.idle > limit })
            {
                let text = "\(pending) is idle for \(pending.idle) ms, and \(node.name) is free"
                return world.checker.violated(.everythingIsOwned, text)
            }
            checkPending(since: calm, freeSince: since)
        }
    }

    /// Waits until living consumers have removed the names of dead ones, which they do once in an hour. The last name
    /// in the group stays: before 7.2, a consumer that has received no message has none there.
    private func waitForNames() {
        if world.scheduler.isInBusyLoop { return }
        let names = { [self] in
            let all = Set(world.server.consumers()).subtracting(["generated:returned"])
            return all.count == 1 ? [] : all.subtracting(unhindered.map(\.name))
        }
        var nextCheck = world.now
        let areGone = world.run(for: .seconds(8 * 3600)) {
            guard world.now >= nextCheck else { return false }
            nextCheck = world.now + .seconds(10)
            return names().isEmpty
        }
        if !areGone { world.checker.violated(.deadNamesAreRemoved, "\(names().sorted()) are in the group") }
    }

    /// Living consumers that no fault hinders.
    private var unhindered: [Node] {
        consumers.filter { $0.isAlive && !$0.isEnding && !$0.hasEnded && $0.hinderedUntil <= world.now }
    }

    // MARK: Consumers

    private func startConsumer(named old: String? = nil) throws {
        lastConsumer += 1
        let name = old ?? "\(plan.hasGeneratedNames ? "generated:" : "")c\(lastConsumer)"
        let node = try world.start(name, runsClient: false) { [self] client, node in
            var services: [any Service] = [client]
            for _ in 0..<(plan.sabotage == .sameName ? 2 : 1) {
                var configuration = plan.configuration
                if plan.sabotage != .silence {
                    configuration.onEvent = { [world] event in world.checker.reported(event, by: node) }
                }
                world.lives.follow(&configuration, of: node)
                let consumer = GroupConsumer(
                    client,
                    stream: Self.stream,
                    group: Self.group,
                    consumer: name,
                    configuration: configuration
                )
                node.snapshot = { consumer.snapshot() }
                let handlers = GroupHandlers(self, client, node)
                services.append(
                    consumer.service(concurrency: plan.concurrency) { message, context in
                        try await handlers.handle(message, context)
                    }
                )
            }
            try await runServices(services, at: node)
        }
        consumers.append(node)
        supervise(node)
    }

    private func runServices(_ services: [any Service], at node: Node) async throws {
        let logger = Logger(label: "simulation", factory: { _ in SwiftLogNoOpLogHandler() })
        let group = ServiceGroup(services: services, logger: logger)
        node.onShutdown = {
            Task.detached(executorPreference: node.process) { await group.triggerGracefulShutdown() }
        }
        try await group.run()
        checkHandOver(of: node)
    }

    /// Checks that a consumer has shut down in time, and that others can claim its remaining messages at once.
    private func checkHandOver(of node: Node) {
        guard node.isAlive, node.isEnding, world.fired.keys.allSatisfy({ $0 == .shutdown }), plan.failOneIn == 0 else {
            return
        }
        let limit = plan.configuration.shutdownDeadline + .seconds(2)
        if let asked = node.askedToEndAt, (world.now - asked).duration > limit {
            world.checker.violated(.shutdownInTime, "\(node.name) has taken \(world.now - asked) ms to end")
        }
        for pending in world.server.pending() where pending.consumer == node.name && pending.idle < plan.lease {
            let text = "\(node.name) has ended, and \(pending) is idle for \(pending.idle) ms only"
            world.checker.violated(.shutdownInTime, text)
        }
    }

    /// Replaces a consumer that has ended by itself, as a process supervisor would.
    private func supervise(_ node: Node) {
        world.scheduler.after(.seconds(1)) { [self] in
            guard !isClosing, !node.isEnding else { return }
            if node.hasEnded { return replace(node, after: .seconds(1)) }
            supervise(node)
        }
    }

    func replace(_ node: Node, after delay: VirtualTime) {
        node.isEnding = true
        let keepsName = world.random.oneIn(2)
        world.scheduler.after(delay) { [self] in
            if !isClosing { try? startConsumer(named: keepsName && node.hasEnded ? node.name : nil) }
        }
    }

    /// Checks that no message waits for a handler while another consumer has a free one. Leaves out consumers that a
    /// fault hinders.
    private func checkBuffers() {
        guard let lease = plan.configuration.claimIdleTime else { return }
        let limit = lease / 3 + claimInterval.duration + .seconds(1)
        world.scheduler.after(.milliseconds(200)) { [self] in
            if isClosing { return }
            let alive = unhindered
            for node in alive {
                guard let waited = node.snapshot?().oldestWaiting, waited > limit,
                    let free = alive.first(where: { $0 !== node && isFree($0) })
                else { continue }
                let text = "a message waits at \(node.name) for \(waited), and \(free.name) is free"
                world.checker.violated(.nothingWaits, text)
                return
            }
            checkBuffers()
        }
    }

    private func isFree(_ node: Node) -> Bool {
        guard let snapshot = node.snapshot?() else { return false }
        return snapshot.waiting == 0 && snapshot.handling < plan.concurrency
    }

    // MARK: Faults

    private var setting: FaultSetting {
        FaultSetting(
            victims: { [self] in consumers },
            replace: { [self] node, _ in replace(node, after: world.random.duration(milliseconds: 1...5000)) },
            destroy: { [self] in destroy($0) }
        )
    }

    private func destroy(_ fault: Fault) {
        world.checker.ownersAreKnown = false
        if fault != .rollback, world.server.hasGroup { world.checker.groupLost() }
        let before = world.server.entries(Self.stream)
        switch fault {
        case .wipe: world.server.restart(keepingData: false)
        case .rollback: world.server.rollBack(by: world.random.int(1...60))
        case .groupDestroyed: world.server.perform("XGROUP", "DESTROY", "\(Self.stream)", Self.group)
        default: world.server.perform("DEL", "\(Self.stream)")
        }
        if fault == .rollback, world.server.hasGroup { world.checker.groupIsBack() }
        let after = Set(world.server.entries(Self.stream))
        for id in before where !after.contains(id) { world.checker.destroyed(id) }
    }

    /// Sets the delivery count of all messages that are pending for a consumer.
    func setDeliveries(to node: Node, _ count: Int) {
        for pending in world.server.pending() where pending.consumer == node.name {
            world.server.perform(
                "XCLAIM",
                "\(Self.stream)",
                Self.group,
                node.name,
                "0",
                "\(pending.id)",
                "RETRYCOUNT",
                "\(count)",
                "JUSTID"
            )
        }
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

    /// Adds a message, and tries again until the server has it or may have it.
    private func produce(_ number: Int, _ client: RedisClient, _ node: Node) async {
        while true {
            do throws(RedisError) {
                let id = try await client.xadd(Self.stream, ["n": "\(number)"])
                numbers[id] = number
                // If the harness destroyed the entry while the reply was on its way, the record says so.
                world.checker.confirmed(id)
                return
            } catch {
                world.trace.record("producer", "could not add \(number): \(error.code)")
                // The server may have added it without confirming it.
                if error.mayHaveExecuted == true { return }
                try? await sleep(.milliseconds(50), on: node.process)
                if Task.isCancelled { return }
            }
        }
    }
}
