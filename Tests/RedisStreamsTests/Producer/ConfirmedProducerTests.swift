import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// Producers whose messages are confirmed by `WAIT` or `WAITAOF`.
@Suite(.limitedTime) struct ConfirmedProducerTests {
    private static let probe = ["WAIT", "0", "1"]
    private static let wait = ["WAIT", "2", "1000"]

    /// Passes a producer to `body` whose batches have two messages, each to be confirmed by two replicas.
    private func producing(
        _ confirmation: StreamProducer.Confirmation = .replicas(2, within: .seconds(1)),
        _ body: (StreamProducer, WriteLog, RedisClient) async throws -> Void
    ) async throws {
        let log = WriteLog()
        var configuration = StreamProducer.Configuration()
        configuration.delay = .seconds(60)
        configuration.batchCount = 2
        configuration.confirmation = confirmation
        try await log.makeClient(.patient).running { [configuration] redis in
            try await body(try StreamProducer(redis, stream: "orders", configuration: configuration), log, redis)
        }
    }

    private func xadd(_ number: Int) -> [String] { ["XADD", "orders", "*", "n", "\(number)"] }

    /// Waits for the connection that the producer leases, and confirms that its server has the command.
    private func leased(_ log: WriteLog) async -> FakeConnection {
        let line = await log.base.nextConnection()
        await line.expect(Self.probe, answer: ":0\r\n")
        return line
    }

    /// Expects the messages of a batch, and `WAIT` behind them.
    ///
    /// - Parameters:
    ///   - part: The first part of the ids of the messages; the second is their number.
    ///   - confirmed: How many replicas have them; `nil` for no reply to `WAIT`.
    private func expectBatch(
        _ numbers: Range<Int>,
        on line: FakeConnection,
        part: Int = 1,
        confirmed: Int?
    ) async {
        for number in numbers { await line.expect(xadd(number), answer: bulk("\(part)-\(number)")) }
        await line.expect(Self.wait, answer: confirmed.map { ":\($0)\r\n" })
    }

    private func submit(_ numbers: Range<Int>, to producer: StreamProducer) async throws -> [StreamProducer.Receipt] {
        var receipts: [StreamProducer.Receipt] = []
        for number in numbers { receipts.append(try await producer.submit(["n": .integer(number)])) }
        return receipts
    }

    @Test func `One WAIT goes behind the messages of a batch, in one write, on a connection that nobody else uses`()
        async throws
    {
        try await producing { producer, log, redis in
            let receipts = try await submit(0..<2, to: producer)
            let line = await leased(log)
            await line.expect(xadd(0), answer: bulk("1-0"))
            await line.expect(xadd(1), answer: bulk("2-0"))
            await line.expect(Self.wait)
            // The server executes nothing more on that connection; others go on.
            async let length = redis.xlen("orders")
            let shared = await log.base.nextConnection()
            await shared.expect(["XLEN", "orders"], answer: ":2\r\n")
            let count = try await length
            #expect(count == 2)
            line.send(":2\r\n")
            for (number, receipt) in receipts.enumerated() {
                let added = try await receipt.id()
                #expect(added == id("\(number + 1)-0"))
            }
            #expect(log.joined == [["XADD", "XADD", "WAIT"]])
        }
    }

    @Test func `The reply to a message is not enough, and the next batch waits for the confirmation`() async throws {
        try await producing { producer, log, _ in
            let receipts = try await submit(0..<4, to: producer)
            let order = Journal<String>()
            let first = Task {
                let added = try await receipts[0].id()
                order.record("\(added)")
            }
            let line = await leased(log)
            await expectBatch(0..<2, on: line, confirmed: nil)
            await log.base.clock.calmDown()
            #expect(order.all.isEmpty)
            #expect(log.names.count { $0 == "XADD" } == 2)
            line.send(":2\r\n")
            await expectBatch(2..<4, on: line, confirmed: 2)
            try await first.value
            let last = try await receipts[3].id()
            #expect(last == id("1-3"))
        }
    }

    @Test func `Control run: with the reply alone, nothing waits, and there is no WAIT`() async throws {
        try await producing(.reply) { producer, log, _ in
            let receipts = try await submit(0..<4, to: producer)
            let line = await log.base.nextConnection()
            for number in 0..<4 { await line.expect(xadd(number)) }
            for number in 0..<4 { line.send(bulk("1-\(number)")) }
            let last = try await receipts[3].id()
            #expect(last == id("1-3"))
            #expect(!log.names.contains("WAIT"))
        }
    }

    @Test func `A connection that is lost before the confirmation leaves a message added, and its copies unknown`()
        async throws
    {
        try await producing { producer, log, _ in
            let receipts = try await submit(0..<2, to: producer)
            let line = await leased(log)
            await line.expect(xadd(0), answer: bulk("1-0"))
            await line.expect(xadd(1))
            await line.expect(Self.wait)
            line.close()
            let added = await caught { try await receipts[0].id() }
            #expect(added?.code == .unconfirmed)
            #expect(added?.unconfirmedEntry?.id == id("1-0"))
            #expect(added?.unconfirmedEntry?.confirmedReplicas == nil)
            let lost = await caught { try await receipts[1].id() }
            #expect(lost?.code == .connectionClosed)
            #expect(lost?.mayHaveExecuted == true)
            // The next batch goes over another connection, whose server is probed again.
            let next = try await submit(2..<4, to: producer)
            let other = await leased(log)
            await expectBatch(2..<4, on: other, part: 2, confirmed: 2)
            let last = try await next[1].id()
            #expect(last == id("2-3"))
        }
    }

    @Test func `A producer goes on after a message that was not confirmed`() async throws {
        try await producing { producer, log, _ in
            let line = Task { await leased(log) }
            for (round, confirmed) in [1, 2].enumerated() {
                let receipts = try await submit(round * 2..<round * 2 + 2, to: producer)
                await expectBatch(round * 2..<round * 2 + 2, on: await line.value, confirmed: confirmed)
                let error = await caught { try await receipts[0].id() }
                #expect(error?.unconfirmedEntry?.confirmedReplicas == (confirmed == 1 ? 1 : nil))
            }
        }
    }

    @Test func `Without the right to WAIT nothing is added`() async throws {
        try await producing { producer, log, _ in
            let receipts = try await submit(0..<2, to: producer)
            let line = await log.base.nextConnection()
            await line.expect(
                Self.probe,
                answer: "-NOPERM this user has no permissions to run the 'wait' command\r\n"
            )
            let error = await caught { try await receipts[1].id() }
            #expect(error?.code == .permissionDenied)
            #expect(error?.command == "WAIT")
            #expect(!log.names.contains("XADD"))
        }
    }

    @Test func `A replica refuses WAIT without a code, and the messages with READONLY`() async throws {
        try await producing { producer, log, _ in
            let receipts = try await submit(0..<2, to: producer)
            let line = await log.base.nextConnection()
            await line.expect(Self.probe, answer: "-ERR WAIT cannot be used with replica instances.\r\n")
            let refusal = "-READONLY You can't write against a read only replica.\r\n"
            for number in 0..<2 { await line.expect(xadd(number), answer: refusal) }
            await line.expect(Self.wait, answer: "-ERR WAIT cannot be used with replica instances.\r\n")
            let error = await caught { try await receipts[1].id() }
            #expect(error?.code == .readOnly)
            #expect(error?.isRetriable == true)
        }
    }

    // MARK: On a whole server

    private func configuration(_ confirmation: StreamProducer.Confirmation) -> StreamProducer.Configuration {
        var configuration = StreamProducer.Configuration()
        configuration.delay = .zero
        configuration.confirmation = confirmation
        return configuration
    }

    private func send(
        _ confirmation: StreamProducer.Confirmation,
        to redis: RedisClient,
        of server: InMemoryRedis
    ) async throws -> Result<StreamID, RedisError> {
        let producer = try StreamProducer(redis, stream: "orders", configuration: configuration(confirmation))
        return await server.clock.advance(by: .milliseconds(20)) { () -> Result<StreamID, RedisError> in
            do throws(RedisError) { return .success(try await producer.send(["n": 1])) } catch {
                return .failure(error)
            }
        }
    }

    @Test func `A message without replicas fails when the time is over, however short the command timeout`()
        async throws
    {
        let server = InMemoryRedis()
        var configuration = RedisClient.Configuration()
        configuration.connection.commandTimeout = .seconds(1)
        try await server.withClient(configuration) { redis in
            let begin = server.clock.elapsed
            let result = try await send(.replicas(1, within: .seconds(10)), to: redis, of: server)
            #expect(server.clock.elapsed - begin >= .seconds(10))
            #expect(throws: RedisError.self) { try result.get() }
            guard case .failure(let error) = result else { return }
            #expect(error.unconfirmedEntry?.confirmedReplicas == 0, "the server has answered, and not the timer")
            let entries = try await redis.xrange("orders")
            #expect(entries.map(\.id) == [error.unconfirmedEntry?.id])
        }
    }

    @Test func `A message is sent as soon as a replica has it`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            let producer = try StreamProducer(
                redis,
                stream: "orders",
                configuration: configuration(.replicas(1, within: .seconds(10)))
            )
            let sending = Task { try await producer.send(["n": 1]) }
            while try await redis.info("clients")["blocked_clients"] != "1" { await server.clock.settle() }
            server.setConfirmingReplicas(1)
            _ = try await sending.value
            #expect(server.clock.elapsed < .seconds(10))
        }
    }

    @Test(arguments: InMemoryRedis.Version.allCases)
    func `A server without WAITAOF is too old, and adds nothing`(version: InMemoryRedis.Version) async throws {
        let server = InMemoryRedis(version: version)
        server.setConfirmingReplicas(1)
        try await server.withClient { redis in
            _ = try await redis.send("CONFIG", "SET", "appendonly", "yes")
            let confirmation = StreamProducer.Confirmation.appendOnlyFile(local: true, replicas: 1, within: .seconds(1))
            let result = try await send(confirmation, to: redis, of: server)
            let length = try await redis.xlen("orders")
            if case .failure(let error) = result {
                #expect(error.code == .unsupportedByServer)
                #expect(error.message.contains("7.2"))
                #expect(length == 0)
                #expect(version == .redis6_2 || version == .redis7_0)
            } else {
                #expect(length == 1)
                #expect(version == .redis8_2 || version == .valkey9_1)
            }
        }
    }

    @Test func `A server without an append-only file adds a message, and says why it does not confirm it`() async throws
    {
        let server = InMemoryRedis(version: .redis8_2)
        try await server.withClient { redis in
            let confirmation = StreamProducer.Confirmation.appendOnlyFile(local: true, replicas: 0, within: .seconds(1))
            guard case .failure(let error) = try await send(confirmation, to: redis, of: server) else {
                Issue.record("confirmed without a file")
                return
            }
            #expect(error.code == .unconfirmed)
            #expect(error.message.contains("appendonly is disabled"))
            let length = try await redis.xlen("orders")
            #expect(length == 1)
        }
    }

    @Test func `A connection that the server closes instead of confirming is replaced`() async throws {
        let server = InMemoryRedis()
        server.setConfirmingReplicas(1)
        try await server.withClient { redis in
            // The first WAIT of a connection is the probe.
            let fault = server.inject(.close, on: "WAIT", nth: 2)
            let producer = try StreamProducer(
                redis,
                stream: "orders",
                configuration: configuration(.replicas(1, within: .seconds(1)))
            )
            let error = await server.clock.advance(by: .milliseconds(1)) {
                await caught { try await producer.send(["n": 1]) }
            }
            #expect(fault.fired == 1)
            #expect(error?.code == .unconfirmed)
            #expect(error?.unconfirmedEntry?.confirmedReplicas == nil)
            let next = await server.clock.advance(by: .milliseconds(1)) {
                await caught { try await producer.send(["n": 2]) }
            }
            #expect(next == nil)
            let length = try await redis.xlen("orders")
            #expect(length == 2)
        }
    }

    @Test func `A producer returns its connection when it has finished`() async throws {
        let server = InMemoryRedis()
        server.setConfirmingReplicas(1)
        var client = RedisClient.Configuration()
        client.maxLeasedConnections = 1
        try await server.withClient(client) { redis in
            for number in 1...3 {
                let result = try await send(.replicas(1, within: .seconds(1)), to: redis, of: server)
                #expect(throws: Never.self) { try result.get() }
                let length = try await redis.xlen("orders")
                #expect(length == number)
            }
        }
    }

    // MARK: In a cluster

    @Test func `The node that added a message is asked, and the order stays, while the stream moves`() async throws {
        let cluster = InMemoryCluster()
        try await cluster.withClient(cluster.clustered) { redis in
            _ = await cluster.passing { try? await redis.xlen("orders") }
            for master in cluster.masters { cluster.setConfirmingReplicas(1, of: master) }
            var configuration = configuration(.replicas(1, within: .seconds(1)))
            configuration.delay = .milliseconds(1)
            configuration.batchCount = 8
            let order = try await cluster.orderOfProducer(redis, configuration)
            #expect(order == Array(0..<400))
        }
    }

    @Test func `After a move the replicas of the new node count, not those of the old one`() async throws {
        let cluster = InMemoryCluster()
        try await cluster.withClient(cluster.clustered) { redis in
            _ = await cluster.passing { try? await redis.xlen("orders") }
            let old = cluster.owner(of: "orders")
            let new = cluster.other(than: "orders")
            cluster.setConfirmingReplicas(1, of: old)
            let producer = try StreamProducer(
                redis,
                stream: "orders",
                configuration: configuration(.replicas(1, within: .seconds(1)))
            )
            let send = { @Sendable () async -> RedisError? in await caught { try await producer.send(["n": 1]) } }
            #expect(await cluster.passing(send) == nil)
            try cluster.move(slot: StreamKey("orders").slot, to: new)
            // The client does not know of the move yet: the old node refuses the message, and would confirm anything.
            let error = await cluster.passing(send)
            #expect(error?.code == .unconfirmed)
            #expect(error?.unconfirmedEntry?.confirmedReplicas == 0)
            cluster.setConfirmingReplicas(1, of: new)
            #expect(await cluster.passing(send) == nil)
        }
    }
}
