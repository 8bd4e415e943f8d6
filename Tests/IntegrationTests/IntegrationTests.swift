import RedisStreams
import Testing

/// Everything that is tested on real servers, one test after the other: several of them measure time or end servers.
@Suite(.serialized, .timeLimit(.minutes(1)))
struct IntegrationTests {
    @Test("every server that is asked for is there", arguments: TestServer.all)
    func serverIsThere(binary: ServerBinary) async throws {
        let server = try await TestServer.shared(binary)
        try await server.withClient { redis in
            let info = try await redis.info("server")
            #expect(info["process_id"] != nil)
        }
    }

    @Test(
        "one of the servers speaks TLS",
        .enabled(if: TestServer.all.count > 1, "somebody who tests on one server may test on one without TLS")
    )
    func tlsIsThere() {
        #expect(!ServerBinary.withTLS.isEmpty)
    }
}
