import RedisStreams
import Testing

/// All tests on real servers. They run one after the other, since some of them measure time or end servers.
@Suite(.serialized, .timeLimit(.minutes(1)))
struct IntegrationTests {
    @Test("every requested server starts", arguments: TestServer.all)
    func serverIsThere(binary: ServerBinary) async throws {
        let server = try await TestServer.shared(binary)
        try await server.withClient { redis in
            let info = try await redis.info("server")
            #expect(info["process_id"] != nil)
        }
    }

    @Test(
        "one of the servers speaks TLS",
        .enabled(if: TestServer.all.count > 1, "a single server may be one without TLS")
    )
    func tlsIsThere() {
        #expect(!ServerBinary.withTLS.isEmpty)
    }
}
