import Foundation
import RedisStreams
import Testing

/// The code of the README. It is compiled here, so that it stays valid.
private enum Readme {
    struct Order: Codable, Sendable {
        var item: String
        var total: Double
    }

    struct Invoice: Codable, Sendable {
        var item: String
        var state: String
    }

    static func firstExample() async throws {
        // README: begin
        try await withRedisClient("redis://localhost:6379") { redis in
            try await redis.xadd("orders", ["item": "book", "total": "12.5"], trim: .approximately(maxLength: 100_000))

            let consumer = GroupConsumer(redis, stream: "orders", group: "billing")
            try await consumer.run(concurrency: 16) { message in
                print(message.id, message["item"] ?? "")  // return acknowledges, throw tries again
            }
        }
        // README: end
    }

    static func badDay(_ redis: RedisClient) async throws {
        // README: begin
        var configuration = GroupConsumer.Configuration()
        configuration.claimIdleTime = .seconds(10)
        configuration.retry = .exponential(from: .seconds(1), upTo: .seconds(60))
        configuration.deadLetter = DeadLetter("orders:dead", maxAttempts: 3)

        let consumer = GroupConsumer(redis, stream: "orders", group: "billing", configuration: configuration)
        try await consumer.run(concurrency: 16) { message, context in
            let order = try message.decode(Order.self)  // Codable: struct Order { var item: String; var total: Double }
            if order.total <= 0 { throw Reject("nothing to bill") }  // a dead letter at once
            // Added in one step with the acknowledgement, if the message is still this consumer's.
            try context.emit(Invoice(item: order.item, state: "billed"), to: "invoices")
        }
        // README: end
        _ = try await redis.redrive("orders:dead")
    }

    static func loops(_ redis: RedisClient, _ consumer: GroupConsumer) async throws {
        for try await message in consumer { print(message) }
        for try await message in consumer.messages { print(message) }
        // README: begin
        for try await message in StreamConsumer(redis, stream: "orders", from: .latest) { print(message) }
        // Goes on behind the last message that was handled, over restarts:
        for try await message in StreamConsumer(redis, stream: "orders", from: .resume("audit")) { print(message) }
        // README: end
    }

    static func values(_ redis: RedisClient, _ message: GroupMessage) async throws {
        // README: begin
        try await redis.xadd("orders", Order(item: "book", total: 12.5))
        let order = try message.decode(Order.self)
        // README: end
        print(order)
    }

    static func manyMessages(_ redis: RedisClient, _ orders: [Order]) async throws {
        // README: begin
        try await redis.withProducer(of: "orders") { producer in
            for order in orders { try await producer.submit(order) }
        }
        // README: end
    }
}

@Suite struct ReadmeTests {
    @Test func `The README shows the code that is compiled here`() throws {
        let source = try String(contentsOf: URL(filePath: #filePath), encoding: .utf8)
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..").standardized
        let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
        let shown = Set(readme.split(separator: "\n").map(Self.trimmed))
        let parts = source.components(separatedBy: "// README: begin\n").dropFirst()
        #expect(parts.count == 5)
        for part in parts {
            let code = try #require(part.components(separatedBy: "// README: end").first)
            for line in code.split(separator: "\n").map(Self.trimmed) where !line.isEmpty {
                #expect(shown.contains(line), "not in the README: \(line)")
            }
        }
    }

    private static func trimmed(_ line: Substring) -> String {
        line.trimmingCharacters(in: .whitespaces)
    }
}
