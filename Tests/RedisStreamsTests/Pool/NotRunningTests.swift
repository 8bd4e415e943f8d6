import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// A client that does not run fails every call with the same error. It opens no connection, since nothing would close
/// it.
@Suite(.limitedTime) struct NotRunningTests {
    enum Use: CaseIterable {
        case command, blocking, connection, consumer, group, handlers

        func callAsFunction(_ redis: RedisClient) async throws {
            switch self {
            case .command: _ = try await redis.xlen("orders")
            case .blocking: _ = try await redis.xread([StreamOffset("orders", after: .zero)], block: .seconds(1))
            case .connection: try await redis.withConnection { _ in }
            case .consumer: for try await _ in StreamConsumer(redis, stream: "orders", from: .beginning) {}
            case .group: for try await _ in GroupConsumer(redis, stream: "orders", group: "g") {}
            case .handlers: try await GroupConsumer(redis, stream: "orders", group: "g").run { _ in }
            }
        }
    }

    @Test(arguments: Use.allCases)
    func `A call that needs a connection fails after the deadline`(use: Use) async throws {
        let log = WriteLog()
        let redis = try log.makeClient()
        let error = await log.base.clock.advance(by: .milliseconds(500)) {
            await caught { try await use(redis) }
        }
        #expect(error?.code == .connectionUnavailable)
        #expect(error?.message == BackgroundTasks.notRunning.message)
        #expect(log.base.clock.elapsed >= .seconds(5))
        #expect(log.names.isEmpty, "no connection was made")
    }

    @Test func `A call succeeds if the client begins to run before the deadline`() async throws {
        let transport = FakeTransport()
        let redis = try transport.makeClient()
        let using = Task { try await redis.withConnection { try await $0.xlen("orders") } }
        await transport.clock.advance(by: .seconds(4))
        let running = Task { try await redis.run() }
        let server = await transport.nextConnection()
        await server.expect(["XLEN", "orders"], answer: ":3\r\n")
        #expect(try await using.value == 3)
        running.cancel()
        try await running.value
    }

    @Test func `A call that waits for the client to run can be cancelled`() async throws {
        let redis = try FakeTransport().makeClient()
        let using = Task { await caught { try await redis.withConnection { _ in } } }
        using.cancel()
        #expect(await using.value?.code == .cancelled)
    }
}
