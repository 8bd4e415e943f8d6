import Logging
import NIOCore
@testable import RedisStreamsTesting
import Synchronization
import Testing

@testable import RedisStreams

/// A transport to a server that is down until `end()` is called.
private final class Outage: Transport {
    let base = FakeTransport()
    private let isDown = Mutex(true)

    func end() { isDown.withLock { $0 = false } }

    func connect(
        _ configuration: RedisConnection.Configuration,
        on eventLoop: any EventLoop,
        delegate: any ByteStreamDelegate
    ) async throws(RedisError) -> any ByteStream {
        if isDown.withLock({ $0 }) { throw RedisError(.connectionRefused, "Nobody listens.") }
        return try await base.connect(configuration, on: eventLoop, delegate: delegate)
    }

    func makeClient(
        _ startup: RedisClient.Configuration.Startup?,
        logger: Logger = LogJournal().logger
    ) throws -> RedisClient {
        var configuration = RedisClient.Configuration()
        configuration.startup = startup
        return try RedisClient(configuration, transport: self, logger: logger, eventLoopGroup: base.clock.eventLoop)
    }
}

@Suite(.limitedTime) struct StartupTests {
    @Test(arguments: [nil, .wait] as [RedisClient.Configuration.Startup?])
    func `A service waits for a server that is down, with a warning at once and then each minute`(
        startup: RedisClient.Configuration.Startup?
    ) async throws {
        let outage = Outage()
        var warnings = LogJournal(of: "could not connect")
        warnings.logLevel = .warning
        let redis = try outage.makeClient(startup, logger: warnings.logger)
        let running = Task { try await redis.run() }
        let consumer = StreamConsumer(redis, stream: "orders", from: .beginning)
        let seen = Journal<StreamID>()
        let reader = Task { for try await message in consumer { seen.record(message.id) } }
        _ = await warnings.journal.wait(for: 1)
        #expect(outage.base.clock.elapsed < .seconds(10))
        while warnings.journal.all.count < 3 {
            await outage.base.clock.advance(by: .seconds(1))
            await Task.yield()
        }
        #expect(outage.base.clock.elapsed >= .seconds(120))
        outage.end()
        let server = await outage.base.clock.advance(by: .seconds(1)) { await outage.base.nextConnection() }
        #expect(await server.nextCommand()?.first == "XREAD")
        server.send(batch(entry("1-0")))
        #expect(await seen.wait(for: 1).first == id("1-0"))
        reader.cancel()
        _ = await reader.result
        running.cancel()
        try await running.value
    }

    @Test(arguments: [nil, .fail] as [RedisClient.Configuration.Startup?])
    func `Within a scope, a call fails if the server is down`(startup: RedisClient.Configuration.Startup?) async throws
    {
        let outage = Outage()
        try await outage.makeClient(startup).running { redis in
            let error = await outage.base.clock.advance(by: .seconds(1)) {
                await caught { for try await _ in StreamConsumer(redis, stream: "orders", from: .beginning) {} }
            }
            #expect(error?.code == .connectionRefused)
            let group = await outage.base.clock.advance(by: .seconds(1)) {
                await caught { try await GroupConsumer(redis, stream: "orders", group: "g").run { _ in } }
            }
            #expect(group?.code == .connectionRefused)
            let ready = await outage.base.clock.advance(by: .seconds(1)) {
                await caught { try await redis.waitUntilReady() }
            }
            #expect(ready?.code == .connectionRefused)
        }
    }

    @Test func `An error that waiting cannot fix ends a service at once`() async throws {
        let transport = FakeTransport(answersHandshake: false)
        let redis = try transport.makeClient()
        let running = Task { try await redis.run() }
        let reading = Task {
            await caught { for try await _ in StreamConsumer(redis, stream: "s", from: .beginning) {} }
        }
        await transport.nextConnection().expectHandshake(answer: "-NOAUTH Authentication required.\r\n")
        #expect(await reading.value?.code == .authenticationFailed)
        let ready = Task { await caught { try await redis.waitUntilReady() } }
        await transport.nextConnection().expectHandshake(answer: "-NOAUTH Authentication required.\r\n")
        #expect(await ready.value?.code == .authenticationFailed)
        running.cancel()
        try await running.value
    }

    @Test func `A call that waits until the client is ready waits for the server, and can be cancelled`() async throws {
        let outage = Outage()
        let redis = try outage.makeClient(nil)
        let running = Task { try await redis.run() }
        let impatient = Task { await caught { try await redis.waitUntilReady() } }
        let patient = Task { await caught { try await redis.waitUntilReady() } }
        for _ in 0..<30 {
            await outage.base.clock.advance(by: .seconds(1))
            await Task.yield()
        }
        #expect(!redis.isReady)
        impatient.cancel()
        #expect(await impatient.value?.code == .cancelled)
        outage.end()
        let failure = await outage.base.clock.advance(by: .seconds(1)) { await patient.value }
        #expect(failure == nil)
        #expect(redis.isReady)
        running.cancel()
        try await running.value
    }
}
