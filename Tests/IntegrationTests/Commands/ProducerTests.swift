import RedisStreams
import Testing

extension IntegrationTests {
    /// Values, and many messages at a time.
    @Suite struct Producers {
        private struct Order: Codable, Hashable {
            struct Line: Codable, Hashable {
                var item: String
                var count: Int
            }

            var customer: String
            var total: Double
            var isPaid: Bool
            var note: String?
            var lines: [Line]
        }

        @Test("a value comes back as it was added", arguments: TestServer.all)
        func values(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let order = Order(
                    customer: "Zoë \"\\\r\n",
                    total: 12.5,
                    isPaid: true,
                    note: nil,
                    lines: [.init(item: "book", count: 2), .init(item: "cd", count: 1)]
                )
                try await redis.xadd(stream, order)
                for try await message in StreamConsumer(redis, stream: stream, from: .beginning) {
                    let decoded = try message.decode(Order.self)
                    #expect(decoded == order)
                    #expect(message["customer"] == order.customer)
                    break
                }
                try await redis.xadd(stream, ["customer": "x", "total": "much", "isPaid": "true", "lines": "[]"])
                let broken = try await redis.xrevrange(stream, count: 1)
                let error = await expectError(.decodingFailed) { try broken[0].decode(Order.self) }
                #expect(error?.message.contains("total") == true)
            }
        }

        @Test("a producer adds each message once, in order", arguments: TestServer.all, Route.allCases)
        func producer(binary: ServerBinary, route: Route) async throws {
            try await TestServer.shared(binary).withClient(route) { redis in
                let stream = StreamKey.unique()
                var configuration = StreamProducer.Configuration()
                configuration.bufferCount = 100
                configuration.batchCount = 30
                try await redis.withProducer(of: stream, configuration: configuration) { producer in
                    var receipts: [StreamProducer.Receipt] = []
                    for n in 1...2000 { receipts.append(try await producer.submit(["n": .integer(n)])) }
                    try await producer.flush()
                    let messages = try await redis.xrange(stream)
                    #expect(messages.map { $0["n"] } == (1...2000).map { "\($0)" })
                    for (receipt, message) in zip(receipts, messages) {
                        let id = try await receipt.id()
                        #expect(id == message.id)
                    }
                }
            }
        }

        @Test("a producer throws the reason why a message was not added", arguments: TestServer.all)
        func failures(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let key = StreamKey.unique()
                _ = try await redis.send("SET", .text(key.rawValue), "text")
                let producer = try StreamProducer(redis, stream: key)
                for _ in 1...3 {
                    await expectError(.wrongType) { try await producer.send(["n": 1]) }
                }
                await expectError(.invalidArgument) { try await producer.send([:]) }
                _ = try await redis.del(key)
                let another = try StreamProducer(redis, stream: key)
                let id = try await another.send(["n": 2])
                let entry = try await redis.xrange(key).first
                #expect(entry?.id == id)
            }
        }
    }
}
