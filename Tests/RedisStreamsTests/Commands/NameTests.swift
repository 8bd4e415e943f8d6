import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// A command with the name of a stream, a group or a consumer, one of which the test sets.
struct NameCase: CustomTestStringConvertible, Sendable {
    let testDescription: String
    /// The parameter that gets the name, as the error must call it.
    let parameter: String
    let refusal: @Sendable (String) -> RedisError?

    init(_ parameter: String, _ type: String, _ command: @escaping @Sendable (String) -> some RedisCommand) {
        self.parameter = parameter
        testDescription = "\(type), \(parameter)"
        refusal = { name in error { () throws(RedisError) in try command(name).validate() } }
    }

    static func stream(_ command: @escaping @Sendable (StreamKey) -> some RedisCommand) -> NameCase {
        NameCase("stream", "\(type(of: command("s")).name)") { command(StreamKey($0)) }
    }

    static func group(_ command: @escaping @Sendable (String) -> some RedisCommand) -> NameCase {
        NameCase("group", "\(type(of: command("g")).name)", command)
    }

    static func consumer(_ command: @escaping @Sendable (String) -> some RedisCommand) -> NameCase {
        NameCase("consumer", "\(type(of: command("c")).name)", command)
    }
}

/// Empty names and names with control characters. Their usual cause is an environment variable that is not set, or that
/// ends with a line break.
@Suite struct NameTests {
    static let id = StreamID(milliseconds: 5)

    static let streams: [NameCase] = [
        .stream { XADD($0, ["f": "v"]) }, .stream { XLEN($0) }, .stream { XDEL($0, ids: [id]) },
        .stream { XDELEX($0, ids: [id]) }, .stream { XTRIM($0, .exactly(maxLength: 1)) },
        .stream { XSETID($0, lastID: id) }, .stream { XCFGSET($0, idempotencyMaxSize: 1) }, .stream { XRANGE($0) },
        .stream { XREVRANGE($0) }, .stream { XREAD([StreamOffset("s"), StreamOffset($0)]) },
        .stream { XREADGROUP(group: "g", consumer: "c", streams: [GroupOffset("s"), GroupOffset($0)]) },
        .stream { XACK($0, group: "g", ids: [id]) }, .stream { XACKDEL($0, group: "g", ids: [id]) },
        .stream { XNACK($0, group: "g", .fail, ids: [id]) }, .stream { XPENDING($0, group: "g") },
        .stream { XPENDING.Entries($0, group: "g", count: 1) },
        .stream { XCLAIM($0, group: "g", consumer: "c", minIdle: .zero, ids: [id]) },
        .stream { XCLAIM.JUSTID(XCLAIM($0, group: "g", consumer: "c", minIdle: .zero, ids: [id])) },
        .stream { XAUTOCLAIM($0, group: "g", consumer: "c", minIdle: .zero) },
        .stream { XAUTOCLAIM.JUSTID(XAUTOCLAIM($0, group: "g", consumer: "c", minIdle: .zero)) },
        .stream { XGROUP.CREATE($0, group: "g") }, .stream { XGROUP.SETID($0, group: "g", to: .latest) },
        .stream { XGROUP.DESTROY($0, group: "g") },
        .stream { XGROUP.CREATECONSUMER($0, group: "g", consumer: "c") },
        .stream { XGROUP.DELCONSUMER($0, group: "g", consumer: "c") }, .stream { XINFO.STREAM($0) },
        .stream { XINFO.STREAMFULL($0) }, .stream { XINFO.GROUPS($0) }, .stream { XINFO.CONSUMERS($0, group: "g") },
    ]

    static let groups: [NameCase] = [
        .group { XREADGROUP(group: $0, consumer: "c", streams: [GroupOffset("s")]) },
        .group { XACK("s", group: $0, ids: [id]) }, .group { XACKDEL("s", group: $0, ids: [id]) },
        .group { XNACK("s", group: $0, .fail, ids: [id]) }, .group { XPENDING("s", group: $0) },
        .group { XPENDING.Entries("s", group: $0, count: 1) },
        .group { XCLAIM("s", group: $0, consumer: "c", minIdle: .zero, ids: [id]) },
        .group { XAUTOCLAIM("s", group: $0, consumer: "c", minIdle: .zero) },
        .group { XGROUP.CREATE("s", group: $0) }, .group { XGROUP.SETID("s", group: $0, to: .latest) },
        .group { XGROUP.DESTROY("s", group: $0) },
        .group { XGROUP.CREATECONSUMER("s", group: $0, consumer: "c") },
        .group { XGROUP.DELCONSUMER("s", group: $0, consumer: "c") },
        .group { XINFO.CONSUMERS("s", group: $0) },
    ]

    static let consumers: [NameCase] = [
        .consumer { XREADGROUP(group: "g", consumer: $0, streams: [GroupOffset("s")]) },
        .consumer { XPENDING.Entries("s", group: "g", count: 1, consumer: $0) },
        .consumer { XCLAIM("s", group: "g", consumer: $0, minIdle: .zero, ids: [id]) },
        .consumer { XAUTOCLAIM("s", group: "g", consumer: $0, minIdle: .zero) },
        .consumer { XGROUP.CREATECONSUMER("s", group: "g", consumer: $0) },
        .consumer { XGROUP.DELCONSUMER("s", group: "g", consumer: $0) },
    ]

    static let bad = ["", "\n", "orders\n", "a\u{0}b", "\u{7f}", "a\u{1f}", "\tüber-lang-genug-für-den-heap"]
    static let good = ["orders", "a b", "ü", "{eu}:orders", "~", "\u{1F600}", "0", "a\u{80}"]

    @Test(arguments: streams + groups + consumers)
    func `An empty name, or one with control characters, is refused with the name of its parameter`(command: NameCase) {
        for name in Self.bad {
            let refusal = command.refusal(name)
            #expect(refusal?.code == .invalidArgument, "\(name.debugDescription)")
            #expect(refusal?.message.hasPrefix(command.parameter + " ") == true, "\(name.debugDescription)")
            #expect(refusal?.command != nil)
        }
        for name in Self.good { #expect(command.refusal(name) == nil, "\(name.debugDescription)") }
    }

    @Test func `Other commands accept any key, so that existing keys can be used`() throws {
        for name in Self.bad {
            try RawCommand("XLEN", .text(name)).validate()
            try DEL([StreamKey(name)]).validate()
            try EXISTS([StreamKey(name)]).validate()
            try EVAL("return 1", keys: [StreamKey(name)]).validate()
        }
    }
}

/// These tests have no server that replies, so they would not end if a command were sent.
@Suite(.limitedTime) struct RefusedNameTests {
    @Test(arguments: [
        ("", "g", "c", "stream"), ("s", "", "c", "group"), ("s", "g", "", "consumer"), ("s", "g", "c\n", "consumer"),
    ])
    func `A group consumer refuses such names before it sends anything, in every kind of use`(
        stream: String,
        group: String,
        name: String,
        parameter: String
    ) async throws {
        try await FakeTransport().withClient(.patient) { redis in
            let consumer = GroupConsumer(redis, stream: StreamKey(stream), group: group, consumer: name)
            let refusals = [
                await caught { try await consumer.run { _ in } }, await caught { for try await _ in consumer {} },
                await caught { for try await _ in consumer.messages {} },
            ]
            for refusal in refusals {
                #expect(refusal?.code == .invalidArgument)
                #expect(refusal?.message.hasPrefix(parameter + " ") == true)
            }
        }
    }

    @Test func `A group consumer refuses such names for its dead letter stream`() async throws {
        try await FakeTransport().withClient(.patient) { redis in
            var configuration = GroupConsumer.Configuration()
            configuration.deadLetter = DeadLetter("")
            let consumer = GroupConsumer(redis, stream: "s", group: "g", configuration: configuration)
            let refusal = await caught { try await consumer.run { _ in } }
            #expect(refusal?.code == .invalidArgument)
            #expect(refusal?.message.hasPrefix("deadLetter.stream ") == true)
        }
    }

    @Test(arguments: ["", "a\n"]) func `A stream consumer refuses such names`(name: String) async throws {
        try await FakeTransport().withClient(.patient) { redis in
            let consumer = StreamConsumer(redis, streams: ["s": .latest, StreamKey(name): .latest])
            let refusal = await caught { for try await _ in consumer {} }
            #expect(refusal?.code == .invalidArgument)
            #expect(refusal?.message.hasPrefix("stream ") == true)
        }
    }

    @Test(arguments: ["", "a\n"]) func `A producer and a trimmer refuse such names`(name: String) async throws {
        try await FakeTransport().withClient(.patient) { redis in
            let refusal = error { () throws(RedisError) in _ = try StreamProducer(redis, stream: StreamKey(name)) }
            #expect(refusal?.code == .invalidArgument)
            #expect(refusal?.message.hasPrefix("stream ") == true)
            for trimming in [
                await caught { try await StreamTrimmer(redis, stream: StreamKey(name)).run() },
                await caught { _ = try await redis.trim(StreamKey(name)) },
            ] {
                #expect(trimming?.code == .invalidArgument)
                #expect(trimming?.message.hasPrefix("stream ") == true)
            }
        }
    }
}
