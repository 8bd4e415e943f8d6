import NIOPosix
import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct ClientLifeTests {
    @Test func `When the client ends, calls that wait for a connection fail, and so do later ones`() async throws {
        let transport = FakeTransport()
        let log = LogJournal(of: "could not connect")
        transport.refuseNextConnection()
        let redis = try transport.makeClient(.patient, logger: log.logger)
        let running = Task { try await redis.run() }
        let waiting = Task { await caught { try await redis.xlen("orders") } }
        _ = await log.journal.wait(for: 1)
        running.cancel()
        try await running.value
        #expect(await waiting.value?.code == .clientShutDown)
        #expect(await caught { try await redis.xlen("orders") }?.code == .clientShutDown)
        let read = [StreamOffset("orders", after: .zero)]
        #expect(await caught { try await redis.xread(read, block: .seconds(1)) }?.code == .clientShutDown)
    }

    @Test func `When the client ends, every connection is closed, and commands in flight fail`() async throws {
        let transport = FakeTransport()
        let redis = try transport.makeClient()
        let running = Task { try await redis.run() }
        let read = [StreamOffset("orders", after: .zero)]
        let length = Task { await caught { try await redis.xlen("orders") } }
        let shared = await transport.nextConnection()
        await shared.expect(["XLEN", "orders"])
        let blocking = Task { await caught { try await redis.xread(read, block: .seconds(5)) } }
        let leased = await transport.nextConnection()
        #expect(await leased.nextCommand()?.first == "XREAD")
        running.cancel()
        try await running.value
        for error in [await length.value, await blocking.value] {
            #expect(error?.code == .connectionClosed)
            #expect(error?.mayHaveExecuted == true)
        }
        await shared.expectClose()
        await leased.expectClose()
    }

    @Test func `A client runs once, and a second run does not disturb it`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            async let length = redis.xlen("orders")
            let server = await transport.nextConnection()
            await server.expect(["XLEN", "orders"], answer: ":1\r\n")
            _ = try await length
            let error = await caught { try await redis.run() }
            #expect(error?.code == .invalidConfiguration)
            async let again = redis.xlen("orders")
            await server.expect(["XLEN", "orders"], answer: ":2\r\n")
            let value = try await again
            #expect(value == 2)
        }
    }

    @Test func `If a shutdown began before the client runs, it ends at once`() async throws {
        let transport = FakeTransport()
        let redis = try transport.makeClient()
        redis.background.stop()
        try await redis.run()
        #expect(await caught { try await redis.xlen("orders") }?.code == .clientShutDown)
    }

    @Test func `A consumer of a client that has ended throws`() async throws {
        let transport = FakeTransport()
        let redis = try transport.makeClient()
        let running = Task { try await redis.run() }
        running.cancel()
        try await running.value
        let error = await caught {
            for try await _ in StreamConsumer(redis, stream: "orders", from: .beginning) {}
        }
        #expect(error?.code == .clientShutDown)
    }

    @Test func `No job is lost at the end: each is run or refused`() async throws {
        for _ in 0..<300 {
            let background = BackgroundTasks(
                timeout: .seconds(60),
                timers: MultiThreadedEventLoopGroup.singleton.next()
            )
            let running = Task { try await background.run {} }
            let outcomes = Journal<String>()
            let starting = Task {
                for _ in 0..<5 {
                    background.start {
                        outcomes.record("run")
                    } otherwise: { _ in
                        outcomes.record("refused")
                    }
                    await Task.yield()
                }
            }
            running.cancel()
            try await running.value
            await starting.value
            #expect(await outcomes.wait(for: 5).count == 5)
        }
    }

    @Test func `A call that is cancelled while it waits for a connection throws cancelled`() async throws {
        let transport = FakeTransport()
        let log = LogJournal(of: "could not connect")
        transport.refuseNextConnection()
        let redis = try transport.makeClient(.patient, logger: log.logger)
        try await redis.running { redis in
            let call = Task { await caught { try await redis.xlen("orders") } }
            _ = await log.journal.wait(for: 1)
            call.cancel()
            let error = await call.value
            #expect(error?.code == .cancelled)
            #expect(error?.mayHaveExecuted == false)
        }
    }

    @Test func `A pipeline with a command that blocks is refused`() async throws {
        let redis = try FakeTransport().makeClient()
        let read = XREAD([.init("orders", after: .zero)], block: .seconds(1))
        let error = await caught { try await redis.pipeline([read]) }
        #expect(error?.code == .invalidArgument)
    }
}
