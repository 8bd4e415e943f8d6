import Foundation
import RedisStreams
import Testing

/// A right of `Documentation/Rights.md`, and what happens without it.
struct Right: Sendable {
    enum Lack: Sendable, Hashable {
        /// The call, or the consumer, ends with `permissionDenied`.
        case refused
        /// Everything else goes on; only the server's `ACL LOG` shows the refusal.
        case goesOn
    }

    /// A rule of `ACL SETUSER`.
    let rule: String
    let without: Lack

    init(_ rule: String, _ without: Lack = .refused) {
        self.rule = rule
        self.without = without
    }
}

/// Something that a user does, with exactly the rights that it needs. Change ``all`` when the page changes.
struct RightsCase: CustomTestStringConvertible, Sendable {
    let testDescription: String
    /// Rights that this case needs, and that another case tests.
    var base: [String] = []
    /// Rights that this case tests, by leaving out one at a time.
    let rights: [Right]
    /// Prepares the streams `orders`, `dead` and so on, as an admin with all rights.
    var setup: @Sendable (RedisClient) async throws -> Void = { _ in }
    /// What the user does. An admin with all rights can observe it.
    let body: @Sendable (_ user: RedisClient, _ admin: RedisClient) async throws -> Void
}

extension RightsCase {
    static let connection = ["+ping", "+client|id", "+client|unblock", "+client|list", "+client|kill"]
    static let script = ["+eval", "+evalsha"]
    static let consumer =
        ["~orders*", "+xreadgroup", "+xack", "+xclaim", "+xautoclaim", "+xpending"]
        + ["+xgroup|delconsumer", "+xgroup|createconsumer", "+xinfo|stream", "+xinfo|groups", "+xinfo|consumers"]
        + script

    static let all: [RightsCase] = [
        RightsCase(
            testDescription: "a group consumer",
            base: connection,
            rights: [
                Right("~orders*"), Right("+xreadgroup"), Right("+xack"), Right("+xautoclaim"),
                Right("+xpending"), Right("+xclaim"), Right("+evalsha"), Right("+eval"),
                Right("+xgroup|delconsumer", .goesOn), Right("+xgroup|createconsumer", .goesOn),
                Right("+xinfo|stream", .goesOn), Right("+xinfo|groups", .goesOn), Right("+xinfo|consumers", .goesOn),
            ],
            setup: { try await orders(claimable: true, $0) },
            body: { try await consume($0, $1, count: 3) }
        ),
        RightsCase(
            testDescription: "a group consumer that creates its group",
            base: connection + consumer,
            rights: [Right("+xgroup|create")],
            setup: { try await $0.xadd("orders", ["n": 1]) },
            body: { try await consume($0, $1, count: 1) }
        ),
        RightsCase(
            testDescription: "outputs",
            base: connection + consumer,
            rights: [Right("+xadd", .goesOn), Right("+type", .goesOn), Right("~invoices", .goesOn)],
            setup: { try await orders($0) },
            body: { user, admin in
                try await consume(user, admin, count: 1) { _, context in
                    try context.emit(["of": "order"], to: "invoices")
                }
                #expect(try await admin.xlen("invoices") == 1)
            }
        ),
        RightsCase(
            testDescription: "dead letters",
            base: connection + consumer,
            rights: [Right("+xadd"), Right("+type"), Right("~dead")],
            setup: { try await orders($0) },
            body: { user, admin in
                try await consume(user, admin, count: 1, deadLetter: DeadLetter("dead")) { _, _ in
                    throw Reject("cannot be")
                }
                #expect(try await admin.xlen("dead") == 1)
            }
        ),
        RightsCase(
            testDescription: "a reader",
            base: connection,
            rights: [
                Right("~orders*"), Right("+xread"), Right("+eval", .goesOn), Right("+evalsha", .goesOn),
                Right("+xinfo|stream", .goesOn), Right("+role", .goesOn),
            ],
            setup: { try await orders($0) },
            body: { try await read($0, $1, from: .beginning) }
        ),
        RightsCase(
            testDescription: "a reader that resumes",
            base: connection + ["+xread", "+xinfo|stream", "+xlen", "+role"],
            rights: [
                Right("~orders*"), Right("~{orders}:position:audit"), Right("+eval"), Right("+evalsha"),
                Right("+hmget"), Right("+hset"),
            ],
            setup: { try await orders($0) },
            body: { user, admin in
                try await read(user, admin, from: .resume("audit"))
                #expect(try await admin.exists("{orders}:position:audit") == 1)
            }
        ),
        RightsCase(
            testDescription: "redrive",
            base: connection,
            rights: [
                Right("~orders*"), Right("~dead"), Right("+eval"), Right("+evalsha"), Right("+xrange"),
                Right("+xclaim"), Right("+xadd"), Right("+xdel"),
            ],
            setup: { admin in
                try await orders(admin)
                let id = try await admin.xrange("orders").first?.id ?? .zero
                // One dead letter whose original entry still exists, and one whose original is gone.
                for id in [id, StreamID(milliseconds: 1)] {
                    try await admin.xadd(
                        "dead",
                        [
                            "dead-letter.stream": "orders", "dead-letter.group": "g",
                            "dead-letter.id": .text("\(id)"), "n": 1,
                        ]
                    )
                }
            },
            body: { user, admin in
                let ids = try await user.redrive("dead")
                #expect(ids.ids.count == 2)
            }
        ),
        RightsCase(
            testDescription: "trimming",
            base: connection,
            rights: [
                Right("~orders*"), Right("~{orders}:position:audit"), Right("+eval"), Right("+evalsha"),
                Right("+xtrim"), Right("+xinfo|groups"), Right("+xinfo|consumers"), Right("+xpending"),
                Right("+xlen"), Right("+xrange"), Right("+time"), Right("+hget"),
            ],
            setup: { try await orders($0) },
            body: { user, _ in
                var goal = GroupTrim()
                goal.age = .seconds(60)
                goal.abandonedAfter = .seconds(60)
                goal.maxLength = 1000
                goal.positions = ["audit"]
                try await user.trim("orders", goal)
            }
        ),
        RightsCase(
            testDescription: "trimming a stream that may not be there",
            base: connection + script + ["~orders*", "+xinfo|groups"],
            rights: [Right("+exists")],
            body: { user, _ in try await user.trim("orders") }
        ),
        RightsCase(
            testDescription: "removing a consumer",
            base: connection,
            rights: [Right("~orders*"), Right("+xgroup|delconsumer")],
            setup: { try await orders($0) },
            body: { user, _ in _ = try await user.xgroupDelConsumer("orders", group: "g", consumer: "me") }
        ),
        RightsCase(
            testDescription: "a producer",
            base: connection,
            rights: [Right("~orders*"), Right("+xadd")],
            body: { user, _ in
                try await user.withProducer(of: "orders") { _ = try await $0.send(["n": 1]) }
            }
        ),
        RightsCase(
            testDescription: "a producer whose messages replicas confirm",
            base: connection + ["~orders*", "+xadd"],
            rights: [Right("+wait")],
            body: { user, _ in
                var configuration = StreamProducer.Configuration()
                configuration.confirmation = .replicas(1, within: .milliseconds(20))
                do {
                    let producer = try StreamProducer(user, stream: "orders", configuration: configuration)
                    try await producer.send(["n": 1])
                } catch let error as RedisError where error.code == .unconfirmed {
                    // There is no replica, and the server has refused nothing.
                }
            }
        ),
        RightsCase(
            testDescription: "connections",
            base: consumer + ["+client|unblock", "+client|list", "+client|kill"],
            rights: [Right("+ping", .goesOn), Right("+client|id", .goesOn)],
            setup: { try await orders($0) },
            body: { try await consume($0, $1, count: 1) }
        ),
    ]
}

// What the cases do.
extension RightsCase {
    /// Creates a stream with a group and a message to read. With `claimable`, two more messages are pending: one for
    /// this consumer, and one for a consumer that has crashed.
    private static func orders(claimable: Bool = false, _ admin: RedisClient) async throws {
        try await admin.xgroupCreate("orders", group: "g", createStream: true)
        for n in 1...(claimable ? 3 : 1) { try await admin.xadd("orders", ["n": .integer(n)]) }
        guard claimable else { return }
        for consumer in ["me", "crashed"] {
            let read = try await admin.xreadgroup(
                group: "g",
                consumer: consumer,
                streams: [GroupOffset("orders")],
                count: 1
            )
            try await admin.xclaimJustID(
                "orders",
                group: "g",
                consumer: consumer,
                minIdle: .zero,
                ids: read.flatMap { $0.map(\.id) },
                delivery: .idle(.seconds(3600))
            )
        }
    }

    /// Consumes until `count` messages are handled, none is pending, and the consumer has probed the group.
    private static func consume(
        _ user: RedisClient,
        _ admin: RedisClient,
        count: Int,
        deadLetter: DeadLetter? = nil,
        handler: @escaping GroupConsumer.ContextHandler = { _, _ in }
    ) async throws {
        var configuration = GroupConsumer.Configuration()
        configuration.claimIdleTime = .seconds(1)
        configuration.claimInterval = .milliseconds(50)
        configuration.block = .milliseconds(200)
        configuration.deadLetter = deadLetter
        let consumer = GroupConsumer(user, stream: "orders", group: "g", consumer: "me", configuration: configuration)
        let handled = Recorder<StreamID>()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await consumer.run(concurrency: 2) { message, context in
                    handled.add(message.id)
                    try await handler(message, context)
                }
                return true
            }
            group.addTask {
                try await eventually("all is handled, and the consumer has probed the group") {
                    guard Set(handled.all).count >= count else { return false }
                    guard try await admin.xpending("orders", group: "g").count == 0 else { return false }
                    return try await admin.calls(of: "xinfo|groups", "xinfo") > 0
                }
                return false
            }
            _ = try await group.next()
            group.cancelAll()
            while try await group.next() != nil {}
        }
    }

    /// Reads a message, and waits until the reader has probed the stream.
    private static func read(_ user: RedisClient, _ admin: RedisClient, from start: StreamConsumer.Start) async throws {
        var configuration = StreamConsumer.Configuration()
        configuration.block = .milliseconds(20)
        configuration.positionInterval = .milliseconds(1)
        let consumer = StreamConsumer(user, stream: "orders", from: start, configuration: configuration)
        let seen = Recorder<StreamID>()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                for try await message in consumer { seen.add(message.id) }
                return true
            }
            group.addTask {
                try await eventually("it is read, and the reader has probed the stream") {
                    guard seen.count > 0 else { return false }
                    if case .resume(let name, _) = start {
                        guard try await admin.exists(StreamKey("{orders}:position:\(name)")) == 1 else { return false }
                    }
                    return try await admin.calls(of: "xinfo|stream", "xinfo") > 0
                }
                return false
            }
            _ = try await group.next()
            group.cancelAll()
            while try await group.next() != nil {}
        }
    }
}

extension IntegrationTests {
    /// `Documentation/Rights.md`, line by line.
    @Suite struct Rights {
        /// Runs a case with these rights.
        ///
        /// - Returns: The error that the case threw, and what the server has refused.
        private static func perform(
            _ rights: RightsCase,
            with rules: [String],
            on server: TestServer,
            waitsForEnd: Bool
        ) async throws -> (error: (any Error)?, denied: [String]) {
            try await server.withClient { admin in
                for reset in [["FLUSHALL"], ["SCRIPT", "FLUSH"], ["ACL", "LOG", "RESET"], ["CONFIG", "RESETSTAT"]] {
                    _ = try await admin.execute(RawCommand(reset.map { .text($0) }))
                }
                try await rights.setup(admin)
                let rule = ["ACL", "SETUSER", "user", "reset", "on", ">\(secret)"] + rules
                _ = try await admin.execute(RawCommand(rule.map { .text($0) }))
                let denied = { () async throws -> [String] in
                    let log = try await admin.send("ACL", "LOG", "128").array.map(Array.init) ?? []
                    return log.compactMap { entry in
                        let parts = entry.array.map { Array($0).map(\.string) } ?? []
                        guard parts.contains("user"), let object = parts.firstIndex(of: "object") else { return nil }
                        return parts[object + 1]
                    }
                }
                let work = Task {
                    try await server.withClient {
                        $0.connection.username = "user"
                        $0.connection.password = Password(secret)
                    } _: { user in
                        try await rights.body(user, admin)
                    }
                }
                let end = Recorder<String>()
                let waiting = Task {
                    _ = await work.result
                    end.add("end")
                }
                try? await eventually("the case ends, or the server refuses something", within: .seconds(10)) {
                    if end.count > 0 { return true }
                    if waitsForEnd { return false }
                    return try await !denied().isEmpty
                }
                work.cancel()
                await waiting.value
                var failure: (any Error)?
                if case .failure(let error) = await work.result { failure = error }
                return (failure, try await denied())
            }
        }

        @Test("exactly these rights are needed", .timeLimit(.minutes(3)), arguments: RightsCase.all, TestServer.all)
        func exact(rights: RightsCase, binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { server in
                let all = rights.base + rights.rights.map(\.rule)
                let result = try await Self.perform(rights, with: all, on: server, waitsForEnd: true)
                #expect(result.error == nil)
                #expect(result.denied == [], "with all rights")
                for right in rights.rights {
                    let result = try await Self.perform(
                        rights,
                        with: all.filter { $0 != right.rule },
                        on: server,
                        waitsForEnd: right.without == .refused
                    )
                    let isRefused = (result.error as? RedisError)?.code == .permissionDenied
                    let error = result.error.map { "\($0)" } ?? "no error"
                    let found: Comment = "without \(right.rule): \(error), refused \(result.denied)"
                    #expect(isRefused == (right.without == .refused), found)
                    #expect(!result.denied.isEmpty, found)
                }
            }
        }
    }
}
