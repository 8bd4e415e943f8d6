import RedisStreams
import RedisStreamsTesting
import Testing

@Suite struct FakeTransportTests {
    @Test(.limitedTime) func `A command goes out and its reply comes back`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            async let length = redis.xlen("orders")
            let server = await transport.nextConnection()
            #expect(await server.nextCommand() == ["XLEN", "orders"])
            server.send(":3\r\n")
            let value = try await length
            #expect(value == 3)
        }
    }

    @Test(.limitedTime) func `A reply that does not come ends the connection at its deadline`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            async let error = caught { try await redis.xlen("orders") }
            let server = await transport.nextConnection()
            #expect(await server.nextCommand() == ["XLEN", "orders"])
            await transport.clock.advance(by: .seconds(11))
            #expect(await error?.code == .timeout)
            #expect(await server.nextCommand() == nil)
        }
    }
}

/// The error that `body` throws.
func caught<Result>(_ body: () async throws -> Result) async -> RedisError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? RedisError
    }
}
