import RedisStreams
import Testing

extension IntegrationTests {
    /// Pipelines and transactions.
    @Suite struct Pipelines {
        @Test("each command of a pipeline has its own result", arguments: TestServer.all, Route.allCases)
        func pipeline(binary: ServerBinary, route: Route) async throws {
            try await TestServer.shared(binary).withClient(route) { redis in
                let (stream, text) = (StreamKey.unique(), StreamKey.unique("text"))
                _ = try await redis.send("SET", .text(text.rawValue), "x")
                let (added, failed, length, newer, read) = try await redis.pipeline(
                    XADD(stream, ["n": 1]),
                    XLEN(text),
                    XLEN(stream),
                    XACKDEL(text, group: "g", ids: [.zero]),
                    XREAD([StreamOffset(stream)])
                )
                #expect(failed.failure?.code == .wrongType)
                #expect(failed.failure?.command == "XLEN")
                #expect(try length.get() == 1)
                #expect(newer.failure != nil)
                #expect(try read.get().first?.first?.id == added.get())
            }
        }

        @Test("a long pipeline keeps its order", arguments: TestServer.all, Route.allCases)
        func longPipeline(binary: ServerBinary, route: Route) async throws {
            try await TestServer.shared(binary).withClient(route) { redis in
                let stream = StreamKey.unique()
                let payload = FieldValue.text(String(repeating: "x", count: 500))
                let results = try await redis.pipeline(
                    (1...3_000).map { XADD(stream, ["n": .integer($0), "p": payload]) }
                )
                let ids = try results.compactMap { try $0.get() }
                #expect(ids == ids.sorted())
                let messages = try await redis.xrange(stream)
                #expect(messages.map(\.id) == ids)
                #expect(messages.map { $0["n"] } == (1...3_000).map { "\($0)" })
            }
        }

        @Test("the client refuses blocking commands in a pipeline", arguments: TestServer.all)
        func blocking(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                await expectError(.invalidArgument) {
                    try await redis.pipeline(XLEN(stream), XREAD([StreamOffset(stream)], block: .seconds(1)))
                }
                await expectError(.invalidArgument) {
                    try await redis.transaction(XLEN(stream), XREAD([StreamOffset(stream)], block: .seconds(1)))
                }
                try await redis.withConnection { connection in
                    let (added, read) = await connection.pipeline(
                        XADD(stream, ["n": 1]),
                        XREAD([StreamOffset(stream)], block: .seconds(10))
                    )
                    let id = try added.get()
                    #expect(try read.get().first?.first?.id == id)
                }
            }
        }

        @Test("a transaction runs as one, with a result for each command", arguments: TestServer.all, Route.allCases)
        func transaction(binary: ServerBinary, route: Route) async throws {
            try await TestServer.shared(binary).withClient(route) { redis in
                let (stream, text) = (StreamKey.unique(), StreamKey.unique("text"))
                _ = try await redis.send("SET", .text(text.rawValue), "x")
                let (added, failed, length) = try await redis.transaction(
                    XADD(stream, ["n": 1]),
                    XLEN(text),
                    XLEN(stream)
                )
                #expect(try added.get() != nil)
                #expect(failed.failure?.code == .wrongType)
                #expect(try length.get() == 1)
            }
        }

        @Test("a refused transaction changes nothing, and its error says why", arguments: TestServer.all)
        func aborted(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let error = await expectError(.serverError, .transactionAborted) {
                    try await redis.transaction(XADD(stream, ["n": 1]), RawCommand("NOSUCHCOMMAND", .text(secret)))
                }
                #expect(error?.message.contains("NOSUCHCOMMAND") == true)
                #expect(try await redis.exists(stream) == 0)
                await expectError(.invalidArgument) {
                    try await redis.transaction(XADD(stream, ["n": 1]), XADD(stream, [:]))
                }
                // The connection is not left inside a transaction.
                #expect(try await redis.xlen(stream) == 0)
                let (length) = try await redis.transaction(XLEN(stream))
                #expect(try length.get() == 0)
            }
        }
    }
}
