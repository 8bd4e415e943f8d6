import RedisStreams

/// A producer that retries with explicit ids, one that sends in batches, and a network that fails.
///
// SAFETY: there is one thread.
final class ProducerScenario: @unchecked Sendable {
    private let world: World
    private let plan: GroupPlan
    private var explicit: [StreamID] = []
    private var batched: [StreamID] = []
    private var running = 2

    init(_ world: World, _ plan: GroupPlan) {
        self.world = world
        self.plan = plan
    }

    func run() throws -> VirtualTime {
        world.plan(plan.faults, count: plan.faultCount, within: plan.duration, lease: .seconds(3))
        try world.start("explicit") { [self] client, node in
            for number in 1...plan.messages {
                try await sleep(world.random.duration(milliseconds: 0.1...200), on: node.process)
                try await addUntilKnown(StreamID(milliseconds: UInt64(number), sequence: 1), client, node)
            }
            running -= 1
        }
        try world.start("batched") { [self] client, node in
            try await produceInBatches(client, node)
            running -= 1
        }
        world.run(for: plan.duration)
        world.calmDown()
        let calm = world.now
        if !world.run(for: .seconds(300), until: { running == 0 }) {
            world.checker.violated(.endsClean, "producers do not end")
        }
        check()
        return world.now - calm
    }

    /// Adds a message with an explicit id, and tries again until the server has it.
    private func addUntilKnown(_ id: StreamID, _ client: RedisClient, _ node: Node) async throws {
        var wasTried = false
        while true {
            do throws(RedisError) {
                explicit.append(try await client.xadd("explicit", ["n": "\(id)"], id: .id(id)))
                return
            } catch {
                // No other client writes to this stream: if the server refuses the id as too low, it has the message.
                if wasTried, error.serverCode == "ERR" { return explicit.append(id) }
                if error.mayHaveExecuted == true { wasTried = true }
                try await sleep(.milliseconds(20), on: node.process)
            }
        }
    }

    private func produceInBatches(_ client: RedisClient, _ node: Node) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let producer = try StreamProducer(client, stream: "batched")
            for number in 1...plan.messages {
                group.addTask { [self] in
                    try await sleep(world.random.duration(milliseconds: 0.1...5000), on: node.process)
                    do {
                        let id = try await producer.send(["n": "\(number)"])
                        batched.append(id)
                    } catch {
                        world.trace.record("batched", "could not send \(number): \(error)")
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func check() {
        let entriesWithID = world.server.entries("explicit")
        let expected = (1...plan.messages).map { StreamID(milliseconds: UInt64($0), sequence: 1) }
        if entriesWithID != expected {
            world.checker.violated(.nothingLost, "explicit ids: \(entriesWithID.count) of \(expected.count)")
        }
        for id in explicit { world.checker.confirmed(id) }
        if explicit != expected { world.checker.violated(.repliesInOrder, "explicit ids were confirmed as other ids") }
        var entries = Set(world.server.entries("batched"))
        if plan.sabotage == .lostMessage, let first = batched.first { entries.remove(first) }
        for id in batched {
            world.checker.confirmed(id)
            if !entries.contains(id) { world.checker.violated(.nothingLost, "\(id) was confirmed and is missing") }
        }
        if Set(batched).count < batched.count { world.checker.violated(.repliesInOrder, "one id was confirmed twice") }
        world.checker.markAllDone()
    }
}
