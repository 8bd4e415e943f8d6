import RedisStreams
import RedisStreamsTesting
import Synchronization
import Testing

@Suite(.limitedTime) struct InMemoryRedisTests {
    @Test func `A loop gets the entry that was added, and the group exists`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            try await redis.xadd("orders", ["item": "book"])
            let consumer = GroupConsumer(redis, stream: "orders", group: "billing", consumer: "1")
            for try await message in consumer {
                #expect(message["item"] == "book")
                break
            }
            let groups = try await redis.xinfoGroups("orders").map(\.name)
            #expect(groups == ["billing"])
        }
    }

    /// The example of the README.
    @Test func `An order is billed once, even when the acknowledgement's reply is lost`() async throws {
        let server = InMemoryRedis(version: .redis7_0)
        try await server.withClient { redis in
            try await redis.xadd("orders", ["item": "book"])
            let fault = server.inject(.closeAfterExecuting, on: "XACK")
            let bills = Journal<StreamID>()
            let billing = Task {
                try await GroupConsumer(redis, stream: "orders", group: "billing").run { bills.record($0.id) }
            }
            while fault.fired == 0 { await server.clock.advance(by: .milliseconds(1)) }
            await server.clock.advance(by: .seconds(60))
            billing.cancel()
            try await billing.value
            #expect(bills.all.count == 1)
            let pending = try await redis.xpending("orders", group: "billing").count
            #expect(pending == 0)
        }
    }

    @Test(arguments: InMemoryRedis.Version.allCases)
    func `INFO reports the version`(version: InMemoryRedis.Version) async throws {
        try await InMemoryRedis(version: version).withClient { redis in
            let info = try await redis.info("server")
            #expect(info.server == (version == .valkey9_1 ? .valkey : .redis))
            #expect(info.version.map { "\(version.rawValue)".hasSuffix("\($0.major).\($0.minor)") } == true)
        }
    }

    @Test func `A blocked read ends by the manual clock`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            async let batches = redis.send("XREAD", "BLOCK", "5000", "STREAMS", "s", "$")
            while try await redis.info("clients")["blocked_clients"] != "1" { await Task.yield() }
            await server.clock.advance(by: .seconds(5))
            let isNothing = try await batches.isNull
            #expect(isNothing)
        }
    }

    @Test func `A fault happens to its command, as often as it was asked for`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            let fault = server.inject(.error("OOM command not allowed"), on: "XADD", nth: 2, times: 2)
            var codes: [RedisError.Code?] = []
            for _ in 1...4 { codes.append(await caught { try await redis.xadd("s", ["a": "1"]) }?.code) }
            #expect(codes.map { $0 == nil } == [true, false, false, true])
            #expect(fault.fired == 2)
            let length = try await redis.xlen("s")
            #expect(length == 2)
        }
    }

    @Test func `A command whose reply is lost was executed`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            let fault = server.inject(.closeAfterExecuting, on: "XADD")
            let error = await caught { try await redis.xadd("s", ["a": "1"]) }
            #expect(error?.mayHaveExecuted == true)
            #expect(fault.fired == 1)
            let length = try await redis.xlen("s")
            #expect(length == 1)
        }
    }

    @Test func `A delayed command is executed later, and the next ones after it`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            try await redis.ping()
            let fault = server.inject(.delay(.seconds(2)), on: "XADD")
            async let added = redis.xadd("s", ["a": "1"])
            async let length = redis.xlen("s")
            while fault.fired == 0 { await Task.yield() }
            await server.clock.advance(by: .seconds(2))
            _ = try await added
            let seen = try await length
            #expect(seen <= 1)
        }
    }

    @Test func `A restart closes connections, and keeps the data if asked to`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            try await redis.xadd("s", ["a": "1"])
            server.restart()
            let kept = try await lengthAfterReconnecting(redis, server)
            #expect(kept == 1)
            server.restart(keepingData: false)
            let lost = try await lengthAfterReconnecting(redis, server)
            #expect(lost == 0)
        }
    }

    private func lengthAfterReconnecting(_ redis: RedisClient, _ server: InMemoryRedis) async throws -> Int {
        while true {
            let result: Result<Int, RedisError>
            do throws(RedisError) { result = .success(try await redis.xlen("s")) } catch { result = .failure(error) }
            guard case .failure(let error) = result, error.isRetriable else { return try result.get() }
            await server.clock.advance(by: .milliseconds(100))
        }
    }

    @Test func `Ids follow the server's clock, which can step`() async throws {
        let server = InMemoryRedis(startingAt: 1000)
        try await server.withClient { redis in
            let first = try await redis.xadd("s", ["a": "1"]).milliseconds
            #expect(first == 1000)
            server.stepClock(by: .seconds(-1))
            let second = try await redis.xadd("s", ["a": "1"])
            #expect(second == StreamID(milliseconds: 1000, sequence: 1))
            server.stepClock(by: .seconds(60))
            let third = try await redis.xadd("s", ["a": "1"]).milliseconds
            #expect(third == 60_000)
        }
    }

    @Test func `A client needs the password`() async throws {
        let server = InMemoryRedis(password: "open sesame")
        var configuration = RedisClient.Configuration()
        configuration.connection.password = "open sesame"
        try await server.withClient(configuration) { try await $0.ping() }
    }
}
