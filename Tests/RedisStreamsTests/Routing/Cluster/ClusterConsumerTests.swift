import NIOCore
import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

/// Consumers and producers that follow their stream through a cluster.
@Suite(.limitedTime) struct ClusterConsumerTests {
    enum Move: Sendable, CaseIterable {
        /// All steps at once.
        case whole
        /// The keys are on the new node for a while before the slot is.
        case slowly
        case failover
        case kill
    }

    static let cases: [(InMemoryRedis.Version, Move)] = InMemoryRedis.Version.allCases.flatMap { version in
        Move.allCases.map { (version, $0) }
    }

    /// Moves the stream while `next` waits for a message, calls `add` in each phase, and returns when all is over.
    private func perform(
        _ move: Move,
        of stream: StreamKey,
        in cluster: InMemoryCluster,
        add: (Int) async throws -> Void
    ) async throws {
        let slot = stream.slot
        switch move {
        case .whole: try cluster.move(slot: slot, to: cluster.other(than: stream))
        case .slowly:
            try cluster.beginMoving(slot: slot, to: cluster.other(than: stream))
            try cluster.moveKeys(of: slot)
            await cluster.clock.advance(by: .seconds(1))
            try await add(10)
            await cluster.clock.advance(by: .seconds(7))
            try cluster.finishMoving(slot: slot)
        case .failover: try cluster.failOver(cluster.owner(of: stream))
        case .kill:
            let master = cluster.owner(of: stream)
            cluster.kill(master)
            await cluster.clock.advance(by: .seconds(3))
            try cluster.failOver(master)
        }
        await cluster.clock.advance(by: .milliseconds(100))
    }

    @Test(arguments: cases)
    func `A group consumer follows its stream, and handles each message once`(
        version: InMemoryRedis.Version,
        move: Move
    ) async throws {
        let cluster = InMemoryCluster(version: version)
        try await cluster.withClient(cluster.clustered) { redis in
            let handled = Journal<String>()
            let consumer = GroupConsumer(redis, stream: "orders", group: "billing", consumer: "ann")
            let running = Task { try await consumer.run { handled.record($0["n"] ?? "") } }
            @Sendable func add(_ number: Int) async throws { try await cluster.add(number, redis) }
            for number in 1...3 { try await add(number) }
            _ = await cluster.passing { await handled.wait(for: 3) }
            await cluster.clock.advance(by: .seconds(1))
            try await perform(move, of: "orders", in: cluster, add: add)
            for number in 4...6 { try await add(number) }
            let count = move == .slowly ? 7 : 6
            let all = await cluster.passing { await handled.wait(for: count) }
            #expect(all.count == count)
            #expect(Set(all).count == count)
            await cluster.clock.advance(by: .seconds(2))
            running.cancel()
            _ = await cluster.passing { await running.result }
            let pending = await cluster.passing { try? await redis.xpending("orders", group: "billing").count }
            #expect(pending == 0)
        }
    }

    @Test(arguments: cases)
    func `A fan-out consumer follows its stream`(version: InMemoryRedis.Version, move: Move) async throws {
        let cluster = InMemoryCluster(version: version)
        try await cluster.withClient(cluster.clustered) { redis in
            let read = Journal<String>()
            let consumer = StreamConsumer(redis, streams: ["orders": .beginning])
            let running = Task { for try await message in consumer { read.record(message["n"] ?? "") } }
            @Sendable func add(_ number: Int) async throws { try await cluster.add(number, redis) }
            for number in 1...3 { try await add(number) }
            _ = await cluster.passing { await read.wait(for: 3) }
            await cluster.clock.advance(by: .seconds(1))
            try await perform(move, of: "orders", in: cluster, add: add)
            for number in 4...6 { try await add(number) }
            let expected = move == .slowly ? ["1", "2", "3", "10", "4", "5", "6"] : ["1", "2", "3", "4", "5", "6"]
            #expect(await cluster.passing { await read.wait(for: expected.count) } == expected)
            running.cancel()
            _ = await cluster.passing { await running.result }
        }
    }

    private func orderOfProducer(holds: Bool) async throws -> [Int] {
        let cluster = InMemoryCluster()
        return try await cluster.withClient(cluster.clustered) { redis in
            _ = await cluster.passing { try? await redis.xlen("orders") }
            var configuration = StreamProducer.Configuration()
            configuration.batchCount = 4
            configuration.holds = holds
            return try await cluster.orderOfProducer(redis, configuration)
        }
    }

    @Test func `A producer keeps the order of its messages while the stream moves`() async throws {
        let order = try await orderOfProducer(holds: true)
        #expect(order.count == 400)
        #expect(zip(order, order.dropFirst()).filter { $0 > $1 }.map(\.1) == [], "what is behind a later one")
    }

    @Test func `Control run: without the hold, later messages get to the new node first`() async throws {
        let order = try await orderOfProducer(holds: false)
        #expect(order.sorted() == Array(0..<400))
        #expect(order != Array(0..<400))
    }

    @Test func `A dead-letter stream in another slot is refused at the start`() async throws {
        let cluster = InMemoryCluster()
        try await cluster.withClient(cluster.clustered) { redis in
            var configuration = GroupConsumer.Configuration()
            configuration.deadLetter = DeadLetter("dead", maxAttempts: 3)
            let consumer = GroupConsumer(redis, stream: "orders", group: "billing", configuration: configuration)
            let error = await caught { try await consumer.run { _ in } }
            #expect(error?.code == .crossSlot)
        }
    }

    @Test func `A position is saved while its stream moves`() async throws {
        let cluster = InMemoryCluster()
        try await cluster.withClient(cluster.clustered) { redis in
            try await cluster.add(1, redis)
            let slot = StreamKey("orders").slot
            try cluster.beginMoving(slot: slot, to: cluster.other(than: "orders"))
            try cluster.moveKeys(of: slot)
            let consumer = StreamConsumer(redis, stream: "orders", from: .resume("reports"))
            let keeper = PositionKeeper(consumer: consumer, eventLoop: redis.nextEventLoop())
            keeper.track("orders", name: "reports", at: SavedPosition(id: id("1-0"), epoch: 0), isSaved: false)
            keeper.finish()
            _ = await cluster.passing { await caught { try await keeper.run() } }
            let key = SavedPosition.key("reports", of: "orders")
            let get = RawCommand("HGET", [.text(key.rawValue), "id"], keys: [key])
            let stored = await cluster.passing { try? await redis.execute(get).string }
            #expect(stored == "1-0")
        }
    }

    @Test func `Another service at the address of a former master ends no consumer`() async throws {
        let cluster = InMemoryCluster()
        try await cluster.withClient(cluster.clustered) { redis in
            let handled = Journal<String>()
            let consumer = GroupConsumer(redis, stream: "orders", group: "billing", consumer: "ann")
            let running = Task { try await consumer.run { handled.record($0["n"] ?? "") } }
            try await cluster.add(1, redis)
            _ = await cluster.passing { await handled.wait(for: 1) }
            await cluster.clock.advance(by: .seconds(1))
            let master = cluster.owner(of: "orders")
            cluster.inject(.error("NOAUTH Authentication required."), on: "PING", at: master, times: .max)
            cluster.kill(master)
            try cluster.failOver(master)
            cluster.start(master)
            await cluster.clock.advance(by: .seconds(3))
            try await cluster.add(2, redis)
            #expect(await cluster.passing { await handled.wait(for: 2) } == ["1", "2"])
            running.cancel()
            _ = await cluster.passing { await running.result }
        }
    }

    @Test func `A handler that emits to a stream in another slot gets the error`() async throws {
        let cluster = InMemoryCluster()
        try await cluster.withClient(cluster.clustered) { redis in
            let refused = Journal<RedisError.Code>()
            let consumer = GroupConsumer(redis, stream: "orders", group: "billing", consumer: "ann")
            let running = Task {
                try await consumer.run { _, context in
                    do throws(RedisError) { try context.emit(["n": 1], to: "invoices") } catch {
                        refused.record(error.code)
                    }
                }
            }
            try await cluster.add(1, redis)
            #expect(await cluster.passing { await refused.wait(for: 1) } == [.crossSlot])
            running.cancel()
            _ = await cluster.passing { await running.result }
        }
    }
}
