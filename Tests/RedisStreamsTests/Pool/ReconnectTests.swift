import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct ReconnectTests {
    @Test func `A lost connection is replaced when it is needed`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            for round in 1...3 {
                async let length = redis.xlen("orders")
                let server = await transport.nextConnection()
                await server.expect(["XLEN", "orders"], answer: ":\(round)\r\n")
                let value = try await length
                #expect(value == round)
                server.close()
                await transport.clock.settle()
            }
        }
    }

    @Test func `While a call waits, the delays between attempts to connect grow`() async throws {
        let transport = FakeTransport()
        let log = LogJournal(of: "could not connect")
        for _ in 0..<5 { transport.refuseNextConnection() }
        let redis = try transport.makeClient(.patient, logger: log.logger)
        try await redis.running { redis in
            async let length = redis.xlen("orders")
            for attempt in 1...5 {
                #expect(await log.journal.wait(for: attempt).count == attempt)
                await transport.clock.advance(by: Backoff().delay(attempt: attempt, jitter: 1))
            }
            let server = await transport.nextConnection()
            await server.expect(["XLEN", "orders"], answer: ":1\r\n")
            let value = try await length
            #expect(value == 1)
            #expect(log.journal.all.count == 5)
        }
    }

    @Test func `While the clock stands still, no attempt is repeated`() async throws {
        let transport = FakeTransport()
        let log = LogJournal(of: "could not connect")
        for _ in 0..<100 { transport.refuseNextConnection() }
        let redis = try transport.makeClient(.patient, logger: log.logger)
        try await redis.running { redis in
            let calls = (0..<20).map { _ in Task { await caught { try await redis.xlen("orders") } } }
            _ = await log.journal.wait(for: 1)
            for _ in 0..<100 { await transport.clock.settle() }
            #expect(log.journal.all.count == 1)
            for call in calls { call.cancel() }
            for call in calls { #expect(await call.value?.code == .cancelled) }
        }
    }

    @Test func `A call that waits too long throws the last error`() async throws {
        let transport = FakeTransport()
        let log = LogJournal(of: "could not connect")
        for _ in 0..<1000 { transport.refuseNextConnection() }
        let redis = try transport.makeClient(logger: log.logger)
        try await redis.running { redis in
            let call = Task { await caught { try await redis.xlen("orders") } }
            _ = await log.journal.wait(for: 1)
            await transport.clock.advance(by: .seconds(5))
            let error = await call.value
            #expect(error?.code == .connectionRefused)
            #expect(transport.clock.elapsed == .seconds(5))
        }
    }

    @Test func `A call on a client that does not run throws that after the deadline`() async throws {
        let transport = FakeTransport()
        let redis = try transport.makeClient()
        let error = await transport.clock.advance(by: .milliseconds(500)) {
            await caught { try await redis.xlen("orders") }
        }
        #expect(error?.code == .connectionUnavailable)
        #expect(error?.message.contains("run()") == true)
        #expect(transport.clock.elapsed >= .seconds(5))
    }

    @Test func `A permanent error is thrown at once, and later calls try again`() async throws {
        let transport = FakeTransport(answersHandshake: false)
        let log = LogJournal(of: "could not connect")
        let redis = try transport.makeClient(logger: log.logger)
        try await redis.running { redis in
            async let error = caught { try await redis.xlen("orders") }
            let first = await transport.nextConnection()
            await first.expectHandshake(answer: "-NOAUTH Authentication required.\r\n")
            #expect(await error?.code == .authenticationFailed)
            await first.expectClose()
            _ = await log.journal.wait(for: 1)
            await transport.clock.advance(by: .milliseconds(50))
            async let length = redis.xlen("orders")
            let second = await transport.nextConnection()
            await second.expectHandshake(answer: "+PONG\r\n")
            await second.expect(["XLEN", "orders"], answer: ":1\r\n")
            let value = try await length
            #expect(value == 1)
        }
    }

    @Test func `A call waits for a server that is loading`() async throws {
        let transport = FakeTransport(answersHandshake: false)
        let log = LogJournal(of: "could not connect")
        let redis = try transport.makeClient(.patient, logger: log.logger)
        try await redis.running { redis in
            async let length = redis.xlen("orders")
            for attempt in 1...3 {
                let server = await transport.nextConnection()
                await server.expectHandshake(answer: "-LOADING Redis is loading the dataset in memory\r\n")
                _ = await log.journal.wait(for: attempt)
                await transport.clock.advance(by: .seconds(1))
            }
            let server = await transport.nextConnection()
            await server.expectHandshake(answer: "+PONG\r\n")
            await server.expect(["XLEN", "orders"], answer: ":1\r\n")
            let value = try await length
            #expect(value == 1)
        }
    }

    @Test func `A lost connection among several is replaced while the others work`() async throws {
        var configuration = RedisClient.Configuration()
        configuration.sharedConnections = 2
        let transport = FakeTransport()
        try await transport.withClient(configuration) { redis in
            let call = Task { try await redis.xlen("orders") }
            let pair = [await transport.nextConnection(), await transport.nextConnection()]
            let answering = pair.map { server in
                Task {
                    while await server.nextCommand() != nil { server.send(":1\r\n") }
                }
            }
            let value = try await call.value
            #expect(value == 1)
            pair[0].close()
            await transport.clock.settle()
            // The next call uses the other connection, and makes the pool replace the lost one.
            let next = try await redis.xlen("orders")
            #expect(next == 1)
            let third = await transport.nextConnection()
            third.close()
            pair[1].close()
            for task in answering { task.cancel() }
        }
    }
}
