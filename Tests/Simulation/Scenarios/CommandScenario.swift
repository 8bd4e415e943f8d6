import RedisStreams

/// Tasks that share a client and send commands with one right reply each. The harness cancels them at any `await`.
///
// SAFETY: there is one thread.
final class CommandScenario: @unchecked Sendable {
    private let world: World
    private let plan: GroupPlan
    private var running = 0

    init(_ world: World, _ plan: GroupPlan) {
        self.world = world
        self.plan = plan
    }

    private static let streams = 7

    func run() throws -> VirtualTime {
        for number in 1...Self.streams {
            for entry in 1...number {
                world.server.perform("XADD", "s\(number)", "\(entry)-\(number)", "n", "\(number)")
            }
        }
        world.server.swapsReplies = plan.sabotage == .swappedReplies
        world.plan(plan.faults, count: plan.faultCount, within: .milliseconds(1500), lease: .seconds(2))
        try world.start("asker") { [self] client, node in
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask { [self] in await self.ask(client, node) }
                }
            }
        }
        if plan.sabotage == .leak { world.network.leaks = true }
        if plan.sabotage == .busyLoop { loopWithoutWaiting() }
        world.run(for: .seconds(4))
        world.calmDown()
        let calm = world.now
        if !world.run(for: .seconds(300), until: { world.nodes.allSatisfy(\.hasEnded) }) {
            world.checker.violated(.endsClean, "commands do not end")
        }
        return world.now - calm
    }

    private func loopWithoutWaiting() {
        world.scheduler.after(.seconds(1)) { [world] in
            Task.detached(executorPreference: world.nodes[0].process) {
                while !Task.isCancelled { await Task.yield() }
            }
        }
    }

    private func ask(_ client: RedisClient, _ node: Node) async {
        for _ in 0..<25 {
            let number = world.random.int(1...Self.streams)
            let kind = world.random.int(0...3)
            let task = Task(executorPreference: node.process) { try await self.answer(client, kind, number) }
            if world.random.oneIn(3) { world.scheduler.afterSteps(world.random.int(0...40)) { task.cancel() } }
            if case .success(let answer) = await task.result, answer != number {
                world.checker.violated(.repliesInOrder, "asked for \(number) in way \(kind), got \(answer)")
            }
            try? await sleep(world.random.duration(milliseconds: 0.5...300), on: node.process)
        }
    }

    /// Sends one of several commands whose reply is different for each stream.
    private func answer(_ client: RedisClient, _ kind: Int, _ number: Int) async throws -> Int {
        let stream = StreamKey("s\(number)")
        switch kind {
        case 0: return try await client.xlen(stream)
        case 1: return try await client.xrange(stream).count
        case 2:
            // A command that blocks runs on its own connection.
            let offset = StreamOffset(stream, after: .zero)
            let batches = try await client.execute(XREAD([offset], count: 1, block: .milliseconds(500)))
            return Int(batches.first?.first?["n"] ?? "") ?? 0
        default:
            let results = try await client.pipeline([XLEN(stream), XLEN("s1"), XLEN(stream)])
            guard try results[1].get() == 1, try results[0].get() == results[2].get() else { return 0 }
            return try results[0].get()
        }
    }
}
