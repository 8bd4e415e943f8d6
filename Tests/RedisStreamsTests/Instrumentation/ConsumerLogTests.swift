import Logging
import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// The log lines that the person on call reads.
@Suite(.limitedTime) struct ConsumerLogTests {
    private let lines = LogLines()

    // MARK: Single lines

    @Test(
        arguments: [
            (.groupCreated(after: id("1-0"), wasLost: false), .info, "group created", "1-0"),
            (
                .groupCreated(after: id("1-0"), wasLost: true), .warning,
                "the group was missing, and the consumer has created it again", "1-0"
            ),
            (.claimed(count: 3), .info, "claimed messages whose leases had expired", nil),
            (
                .leaseLost(ids: ids("1-0", "2-0")), .warning,
                "leases were lost: others may handle these messages as well", "1-0, 2-0"
            ),
            (.retrying(id: id("1-0"), failures: 9, after: .zero), .info, "handler failed", "1-0"),
            (.retrying(id: id("1-0"), failures: 10, after: .zero), .warning, "a message fails again and again", "1-0"),
            (.retrying(id: id("1-0"), failures: 30, after: .zero), .info, "handler failed", "1-0"),
            (.retrying(id: id("1-0"), failures: 160, after: .zero), .warning, "a message fails again and again", "1-0"),
            (
                .deadLettered(id: id("1-0"), entry: nil, reason: "no"), .warning,
                "dead-lettered a message", "1-0"
            ),
            (
                .rejected(id: id("1-0"), reason: "no"), .warning,
                "a handler rejected a message, which was acknowledged: there is no deadLetter", "1-0"
            ),
            (.deleted(ids: ids("1-0")), .warning, "messages were deleted while pending: nobody handles them", "1-0"),
            (
                .trimmedUnread(count: nil, after: id("1-0"), before: id("2-0")), .warning,
                "entries were trimmed before they were read", "1-0 to 2-0"
            ),
            (.interrupted(RedisError(.timeout, "late"), retryAfter: .seconds(1)), .info, "consumer interrupted", nil),
            (.reconnected, .info, "consumer reconnected", nil),
        ] as [(ConsumerEvent, Logger.Level, String, String?)]
    )
    func `Each event has a line, whose level says what it is about`(
        event: ConsumerEvent,
        level: Logger.Level,
        text: String,
        message: String?
    ) {
        ConsumerObserver(log: ConsumerLog(lines.logger)).report(event)
        #expect(lines.all.map(\.level) == [level])
        #expect(lines.all.map(\.text) == [text])
        #expect(lines.all.first?.metadata["redis.message"] == message)
    }

    @Test func `An interruption that repeats is a warning at its 10th, 20th, 40th time, and debug in between`() {
        let log = ConsumerLog(lines.logger)
        for _ in 1...45 { log.write(.interrupted(RedisError(.timeout, "late"), retryAfter: .seconds(2))) }
        #expect(lines.lines("consumer interrupted").count == 45)
        let levels = lines.all.map { "\($0.level) \($0.metadata["redis.attempt"] ?? "")" }
        #expect(levels == ["info 1", "warning 10", "warning 20", "warning 40"])
        #expect(lines.all[0].metadata["redis.reason"] == "timeout: late")
        #expect(lines.all[0].metadata["redis.delay_ms"] == "2000")
        log.write(.reconnected)
        log.write(.interrupted(RedisError(.timeout, "late"), retryAfter: .seconds(2)))
        #expect(lines.all.suffix(2).map(\.text) == ["consumer reconnected", "consumer interrupted"])
    }

    @Test func `A text that others have written stays on its line, and short`() {
        #expect("a\nb\u{1B}[31mc\u{2028}d\u{202E}e".onOneLine() == "a b [31mc d e")
        #expect("größer 👍".onOneLine() == "größer 👍")
        let long = String(repeating: "ä", count: 10_000).onOneLine()
        #expect(long == String(repeating: "ä", count: 500) + "…")
        #expect("".onOneLine() == "")
    }

    // MARK: Lives of consumers

    @Test func `The log has the start and the stop, with stream, group and consumer`() async throws {
        try await consuming { _, _ in
        } until: {
            !$0.lines("group created").isEmpty
        }
        #expect(lines.all.map(\.text) == ["consumer started", "group created", "consumer stopped"])
        for line in lines.all {
            #expect(line.level == .info)
            #expect(line.metadata["redis.stream"] == "orders")
            #expect(line.metadata["redis.group"] == "billing")
            #expect(line.metadata["redis.consumer"] == "ann")
        }
    }

    @Test func `The log has the error of a handler and the delay, and a warning when it goes on failing`() async throws
    {
        try await consuming { redis, configuration in
            configuration.retry = .fixed(.seconds(2))
            try await redis.xadd("orders", ["item": "book"])
        } handler: { _ in
            throw Failed()
        } until: {
            $0.lines("handler failed").count == 12
        }
        let failure = try #require(lines.lines("handler failed").first)
        #expect(failure.level == .info)
        #expect(failure.metadata["redis.reason"] == "Failed")
        #expect(failure.metadata["redis.delay_ms"] == "2000")
        #expect(failure.metadata["redis.attempt"] == "1")
        #expect(failure.metadata["redis.consumer"] == "ann")
        let warnings = lines.all.filter { $0.level == .warning }
        #expect(warnings.map(\.text) == ["a message fails again and again"])
        #expect(warnings.map { $0.metadata["redis.attempt"] } == ["10"])
    }

    @Test func `A dead letter and its lines say what did not decode`() async throws {
        struct Order: Decodable { let total: Double }
        let (dead, _) = try await consuming { redis, configuration in
            configuration.retry = .immediately
            configuration.deadLetter = DeadLetter("dead", maxAttempts: 2)
            try await redis.xadd("orders", ["total": "much"])
        } handler: {
            _ = try $0.decode(Order.self)
        } until: {
            !$0.lines("dead-lettered a message").isEmpty
        }
        let words = #"The field "total" of Order does not read as Double"#
        let reason = try #require(dead.first?["dead-letter.reason"])
        #expect(reason.hasPrefix("Failed 2 times. The last error: \(words)"), "\(reason)")
        #expect(dead.first?["dead-letter.error"] == "RedisError")
        let failure = lines.lines("handler failed").first?.metadata["redis.reason"]
        #expect(failure?.hasPrefix("RedisError: \(words)") == true, "\(failure ?? "")")
        let line = try #require(lines.lines("dead-lettered a message").first)
        #expect(line.level == .warning)
        #expect(line.metadata["redis.reason"]?.hasPrefix("RedisError: Failed 2 times.") == true)
    }

    @Test func `The log has the user's description of an error, on one line`() async throws {
        let (dead, _) = try await consuming { redis, configuration in
            configuration.describe = { "order\n\(($0 as? Numbered)?.number ?? 0)" }
            configuration.deadLetter = DeadLetter("dead", maxAttempts: 1)
            try await redis.xadd("orders", ["item": "book"])
        } handler: { _ in
            throw Numbered(number: 7)
        } until: {
            !$0.lines("dead-lettered a message").isEmpty
        }
        #expect(dead.first?["dead-letter.reason"] == "Failed once. The last error: order 7")
        #expect(dead.first?["dead-letter.error"] == "Numbered")
    }

    @Test func `The log says that a message was dropped if there is no dead letter stream`() async throws {
        try await consuming { redis, _ in
            try await redis.xadd("orders", ["item": "book"])
        } handler: { _ in
            throw Reject("no such\ncustomer")
        } until: {
            !$0.lines("a handler rejected a message, which was acknowledged: there is no deadLetter").isEmpty
        }
        let line = lines.all.first { $0.level == .warning }
        #expect(line?.metadata["redis.reason"] == "no such customer")
    }

    @Test func `A handler that fails on what is acknowledged already has lost it`() async throws {
        try await consuming { redis, configuration in
            configuration.acknowledgement = .onDelivery
            try await redis.xadd("orders", ["item": "book"])
        } handler: { _ in
            throw Failed()
        } until: {
            !$0.lines("handler failed, and the message is lost: it is not tried again").isEmpty
        }
        #expect(lines.all.filter { $0.level == .warning }.map { $0.metadata["redis.reason"] } == ["Failed"])
    }

    @Test func `An interruption has its end`() async throws {
        try await consuming { _, _ in
        } faults: { server in
            server.inject(.close, on: "XREADGROUP", nth: 2)
        } until: {
            !$0.lines("consumer reconnected").isEmpty
        }
        let texts = lines.all.map(\.text).filter { $0.hasPrefix("consumer ") }
        #expect(texts == ["consumer started", "consumer interrupted", "consumer reconnected", "consumer stopped"])
        #expect(lines.all.allSatisfy { $0.level == .info })
    }

    @Test func `The log says what a consumer claimed`() async throws {
        try await consuming { redis, _ in
            try await redis.xgroupCreate("orders", group: "billing", createStream: true)
            try await redis.xadd("orders", ["item": "book"])
            _ = try await redis.xreadgroup(group: "billing", consumer: "dead", streams: [.init("orders", .new)])
        } until: {
            !$0.lines("claimed messages whose leases had expired").isEmpty
        }
        let line = lines.lines("claimed messages whose leases had expired").first
        #expect(line?.level == .info)
        #expect(line?.metadata["redis.count"] == "1")
    }

    @Test func `The end of a consumer by an error is logged as one, with the server's words`() async throws {
        let (_, error) = try await consuming { _, _ in
        } faults: { server in
            server.inject(.error("NOPERM this user has no permissions"), on: "XREADGROUP", times: 100)
        } until: {
            !$0.lines("consumer ended with an error").isEmpty
        }
        #expect(error?.code == .permissionDenied)
        let line = try #require(lines.lines("consumer ended with an error").first)
        #expect(line.level == .error)
        #expect(line.metadata["redis.reason"]?.hasPrefix("permissionDenied (XREADGROUP)") == true)
        #expect(lines.lines("consumer stopped").isEmpty)
    }

    @Test func `The log has the start, the interruption and the stop of a fan-out reader, with its stream`()
        async throws
    {
        let server = InMemoryRedis()
        server.inject(.close, on: "XREAD", nth: 2)
        let redis = try server.makeClient(logger: lines.logger)
        try await redis.running { redis in
            let reading = Task {
                for try await _ in StreamConsumer(redis, stream: "orders", from: .beginning) {}
            }
            while lines.lines("consumer reconnected").isEmpty {
                await server.clock.advance(by: .milliseconds(500))
                // Otherwise the timeout would expire before there is a connection.
                await server.clock.calmDown()
            }
            reading.cancel()
            try await reading.value
            while lines.lines("consumer stopped").isEmpty { await server.clock.advance(by: .milliseconds(1)) }
        }
        let expected = ["consumer started", "consumer interrupted", "consumer reconnected", "consumer stopped"]
        #expect(lines.all.map(\.text) == expected)
        #expect(lines.all.allSatisfy { $0.level == .info && $0.metadata["redis.stream"] == "orders" })
    }

    private struct Numbered: Error { let number: Int }

    /// Runs a consumer until `until` finds its lines in the log, and advances the clock meanwhile.
    ///
    /// - Returns: The dead letter entries at the end, and the error of `run`.
    @discardableResult
    private func consuming(
        _ prepare: (RedisClient, inout GroupConsumer.Configuration) async throws -> Void,
        handler: @escaping GroupConsumer.Handler = { _ in },
        faults: (InMemoryRedis) -> Void = { _ in },
        until isDone: (LogLines) -> Bool
    ) async throws -> (dead: [StreamMessage], error: RedisError?) {
        let server = InMemoryRedis()
        let redis = try server.makeClient(logger: lines.logger)
        return try await redis.running { redis in
            var configuration = GroupConsumer.Configuration()
            try await prepare(redis, &configuration)
            faults(server)
            let consumer = GroupConsumer(
                redis,
                stream: "orders",
                group: "billing",
                consumer: "ann",
                configuration: configuration
            )
            let running = Task { await caught { try await consumer.run(handler) } }
            while !isDone(lines) {
                await server.clock.advance(by: .milliseconds(500))
                await server.clock.calmDown()
            }
            running.cancel()
            let error = await running.value
            return (Array(try await redis.xrange("dead")), error)
        }
    }
}
