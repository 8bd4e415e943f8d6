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
        watchBuffers()
        try startProducer()
        let faultTime = plan.duration + plan.lease
        world.plan(plan.faults, count: plan.faultCount, within: faultTime, lease: plan.lease, setting: setting)
        world.run(for: .seconds(600)) { hasProduced }
        world.run(for: plan.lease)
        world.calmDown()
        let calm = world.now
        watchPending(since: calm)
        if !world.run(for: patience, until: isSettled) { tellWhatIsLeft() }
        let recovery = world.now - calm
        if plan.watchesNames { waitForNames() }
        close()
        if plan.emits { checkOutputs() }
        world.checker.checkTold { !$0.isAlive || $0.hinderedUntil > .zero }
        return recovery
    }

    /// Has the checker see what is settled, and by whom.
    private func observe() {
        world.server.watched = (Self.stream, Self.group)
        world.server.onSettling = { [unowned self, world, plan] node, delay, before, after in
            let left = Set(after.map(\.id))
            for pending in before where !left.contains(pending.id) {
                let deadLetterEntries = plan.configuration.deadLetter?.stream
                let isBuried = deadLetterEntries.map { world.server.isDeadLetter(pending.id, in: $0) } ?? false
                // By the lease an owner is known only if the network takes no longer than the margin.
                let isLate = delay.nanoseconds > plan.lease.nanoseconds / 4 && plan.configuration.fencing == .lease
                let owner = isLate ? node.name : pending.consumer
                world.checker.settled(pending.id, of: owner, by: node, isBuried: isBuried)
                if isBuried { self.checkVerdict(on: pending.id) }
            }
        }
    }

    /// How long everything may take once there are no more faults.
    private var patience: VirtualTime {
        VirtualTime(nanoseconds: plan.lease.nanoseconds * 20) + .seconds(200)
    }

    private var nextLook = VirtualTime.zero
    private var wasSettled = false

    /// Whether all is handled and nothing is pending. Asks the server now and then only.
    private func isSettled() -> Bool {
        guard world.now >= nextLook else { return wasSettled }
        nextLook = world.now + .milliseconds(100)
        wasSettled =
            world.checker.running.isEmpty && world.server.pending().isEmpty && world.checker.missing.isEmpty
            && !world.checker.hasUntoldLosses
        return wasSettled
    }

    private func tellWhatIsLeft() {
        if world.scheduler.isRunningInCircles { return }
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
        if !haveEnded, !world.scheduler.isRunningInCircles {
            let names = consumers.filter { !$0.hasEnded }.map(\.name)
            world.checker.violated(.shutdownInTime, "\(names) have not ended \(limit) ms after they were asked to")
        }
    }

    /// Each message that was settled has exactly one output, but for those that were refused.
    private func checkOutputs() {
        var counts: [String: Int] = [:]
        for id in world.server.values(of: "of", in: Self.outputs) { counts[id, default: 0] += 1 }
        for (id, record) in world.checker.records.sorted(by: { $0.key < $1.key }) {
            guard record.isSettled, !record.isBuried else { continue }
            let count = counts["\(id)"] ?? 0
            if count > 1 || (count == 0 && !record.rejected) {
                world.checker.violated(.outputsOnce, "\(id) has \(count) outputs")
            }
        }
    }

    /// As many processes as `maxCrashes` have to die of a message: fewer killers cannot make that of an innocent one.
    private func checkVerdict(on id: StreamID) {
        guard plan.poisonEvery > 0, let deadLetterEntry = plan.configuration.deadLetter, let number = numbers[id],
            !plan.isPoison(number), plan.killers + (world.fired[.pause] ?? 0) < deadLetterEntry.maxCrashes
        else { return }
        world.checker.violated(.innocentsStay, "\(id) is given up, and has killed nobody")
    }

    // MARK: The ends of everything

    private var claimInterval: VirtualTime { min(.seconds(5), VirtualTime(nanoseconds: plan.lease.nanoseconds / 4)) }

    /// Has the checker see that nothing stays pending which nobody looks after, while somebody has had a free handler for
    /// long enough to look for it.
    private func watchPending(since calm: VirtualTime, freeSince: [ObjectIdentifier: VirtualTime] = [:]) {
        guard plan.configuration.claimIdleTime != nil else { return }
        world.scheduler.after(.milliseconds(500)) { [self] in
            if isClosing { return }
            let free = idle.filter(isFree)
            let since = Dictionary(
                uniqueKeysWithValues: free.map { ($0.identity, freeSince[$0.identity] ?? world.now) }
            )
            // A scan that has passed it comes round once more, and who has given something back lets others go first.
            let patience = claimInterval + claimInterval + claimInterval + .seconds(2)
            let limit = plan.lease + patience
            if let node = free.first(where: { since[$0.identity].map { world.now - max($0, calm) > patience } ?? false }
            ),
                let pending = world.server.pending().first(where: { $0.idle > limit })
            {
                let text = "\(pending) is idle for \(pending.idle) ms, and \(node.name) is free"
                return world.checker.violated(.everythingIsOwned, text)
            }
            watchPending(since: calm, freeSince: since)
        }
    }

    /// Waits until the names of dead consumers are gone: an hour, and until somebody looks. Where none of those that live
    /// has a name in the group yet, as before 7.2, the last one stays.
    private func waitForNames() {
        if world.scheduler.isRunningInCircles { return }
        let names = { [self] in
            let all = Set(world.server.consumers()).subtracting(["generated:returned"])
            return all.count == 1 ? [] : all.subtracting(idle.map(\.name))
        }
        var nextLook = world.now
        let areGone = world.run(for: .seconds(8 * 3600)) {
            guard world.now >= nextLook else { return false }
            nextLook = world.now + .seconds(10)
            return names().isEmpty
        }
        if !areGone { world.checker.violated(.namesGo, "\(names().sorted()) are in the group") }
    }

    /// Consumers that live, and that nothing hinders.
    private var idle: [Node] {
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
                    configuration.onEvent = { [world] event in world.checker.told(event, by: node) }
                }
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
        watch(node)
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

    /// A consumer has ended as it was asked to: what is left of it can be had at once.
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

    /// Has a consumer replaced that has ended by itself, as whatever supervises processes would.
    private func watch(_ node: Node) {
        world.scheduler.after(.seconds(1)) { [self] in
            guard !isClosing, !node.isEnding else { return }
            if node.hasEnded { return replace(node, after: .seconds(1)) }
            watch(node)
        }
    }

    func replace(_ node: Node, after delay: VirtualTime) {
        node.isEnding = true
        let keepsName = world.random.oneIn(2)
        world.scheduler.after(delay) { [self] in
            if !isClosing { try? startConsumer(named: keepsName && node.hasEnded ? node.name : nil) }
        }
    }

    /// Has the checker see what waits for a handler, now and then. Only of consumers that nothing has hindered.
    private func watchBuffers() {
        guard let lease = plan.configuration.claimIdleTime else { return }
        let limit = lease / 3 + claimInterval.duration + .seconds(1)
        world.scheduler.after(.milliseconds(200)) { [self] in
            if isClosing { return }
            let alive = idle
            for node in alive {
                guard let waited = node.snapshot?().oldestWaiting, waited > limit,
                    let free = alive.first(where: { $0 !== node && isFree($0) })
                else { continue }
                let text = "a message waits at \(node.name) for \(waited), and \(free.name) is free"
                world.checker.violated(.nothingWaits, text)
                return
            }
            watchBuffers()
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
        case .groupDestroyed: world.server.doTo("XGROUP", "DESTROY", "\(Self.stream)", Self.group)
        default: world.server.doTo("DEL", "\(Self.stream)")
        }
        if fault == .rollback, world.server.hasGroup { world.checker.groupIsBack() }
        let after = Set(world.server.entries(Self.stream))
        for id in before where !after.contains(id) { world.checker.destroyed(id) }
    }

    /// What was delivered to a consumer counts as delivered so many times.
    func setDeliveries(to node: Node, _ count: Int) {
        for pending in world.server.pending() where pending.consumer == node.name {
            world.server.doTo(
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

    /// Adds a message, until it is known that it was not added or that it was.
    private func produce(_ number: Int, _ client: RedisClient, _ node: Node) async {
        while true {
            do throws(RedisError) {
                let id = try await client.xadd(Self.stream, ["n": "\(number)"])
                numbers[id] = number
                // What was destroyed while the reply was on its way is lost too.
                world.checker.confirmed(id)
                return
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
