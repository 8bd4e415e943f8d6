import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct RedriveTests {
    private typealias Field = DeadLetter.Field

    @Test func `Entries that are not dead letters, or broken ones, stay, and do not stop a redrive`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            try await redis.xadd("dead", ["item": "book"])
            try await redis.xadd("dead", deadLetterEntry(id: "abc", item: "book"))
            try await redis.xadd("dead", deadLetterEntry(id: "1-0", item: nil))
            for n in 1...3 { try await redis.xadd("dead", deadLetterEntry(id: "1-0", item: "\(n)")) }
            let none = await caught { try await redis.redrive("dead", count: 0) }
            #expect(none?.code == .invalidArgument)
            var count = try await redis.redrive("dead", count: 1).ids.count
            #expect(count == 1)
            count = try await redis.redrive("dead", count: 2).ids.count
            #expect(count == 2)
            count = try await redis.redrive("dead").ids.count
            #expect(count == 0)
            let items = try await redis.xrange("in").map { $0["item"] }
            #expect(items == ["1", "2", "3"])
            let left = try await redis.xlen("dead")
            #expect(left == 3)
        }
    }

    @Test func `The message may be a dead letter itself, whose fields go back with it`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            var nested = deadLetterEntry(id: "1-0", item: nil)
            nested.fields += deadLetterEntry(id: "7-0", item: "book").fields
            try await redis.xadd("dead", nested)
            let count = try await redis.redrive("dead").ids.count
            #expect(count == 1)
            let fields = try await redis.xrange("in").first?.fields.map { "\($0.name)=\($0.value)" }
            #expect(fields == ["dead-letter.stream=in", "dead-letter.group=g", "dead-letter.id=7-0", "item=book"])
        }
    }

    /// A dead letter whose original entry is no longer in the stream.
    private func deadLetterEntry(id: String, item: String?) -> StreamFieldsToAdd {
        var fields: [StreamFieldsToAdd.Field] = [
            .init(Field.stream.rawValue, "in"), .init(Field.group.rawValue, "g"), .init(Field.id.rawValue, .text(id)),
        ]
        if let item { fields.append(.init("item", .text(item))) }
        return StreamFieldsToAdd(fields)
    }
}
