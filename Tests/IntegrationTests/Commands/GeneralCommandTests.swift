import RedisStreams
import Testing

extension IntegrationTests {
    /// The commands around the streams, and raw ones.
    @Suite struct GeneralCommands {
        @Test("keys are counted, deleted and expire", arguments: TestServer.all, Route.allCases)
        func keys(binary: ServerBinary, route: Route) async throws {
            try await TestServer.shared(binary).withClient(route) { redis in
                try await redis.ping()
                let (first, second) = (StreamKey.unique("first"), StreamKey.unique("second"))
                try await redis.xadd(first, ["n": 1])
                #expect(try await redis.exists(first, second, first) == 2)
                #expect(try await redis.expire(first, after: .seconds(100)))
                #expect(try await redis.expire(second, after: .seconds(100)) == false)
                #expect((try await redis.send("TTL", .text(first.rawValue)).integer ?? 0) > 90)
                await expectError(.invalidArgument) { try await redis.expire(first, after: .zero) }
                #expect(try await redis.del(first, second) == 1)
            }
        }

        @Test("EXPIRE with a condition needs Redis 7.0", arguments: TestServer.all)
        func expireConditions(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await redis.xadd(stream, ["n": 1])
                guard try await !redis.isOlder(than: "7.0") else {
                    let error = await expectError(.unsupportedByServer) {
                        try await redis.expire(stream, after: .seconds(10), .ifNone)
                    }
                    #expect(error?.message.contains("7.0") == true)
                    return
                }
                #expect(try await redis.expire(stream, after: .seconds(10), .ifAny) == false)
                #expect(try await redis.expire(stream, after: .seconds(10), .ifNone))
                #expect(try await redis.expire(stream, after: .seconds(5), .ifLater) == false)
                #expect(try await redis.expire(stream, after: .seconds(5), .ifEarlier))
            }
        }

        @Test("scripts run by their text and by their hash", arguments: TestServer.all)
        func scripts(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let script = "return {KEYS[1], ARGV[1], 7, {false, redis.status_reply('fine')}}"
                let reply = try await redis.eval(script, keys: ["k"], arguments: ["argument"])
                let elements = try #require(reply.array)
                #expect(elements[offset: 0]?.string == "k")
                #expect(elements[offset: 1]?.string == "argument")
                #expect(elements[offset: 2]?.integer == 7)
                #expect(elements[offset: 3]?.array?[offset: 0]?.isNull == true)
                #expect(elements[offset: 3]?.array?[offset: 1]?.string == "fine")

                let hash = try #require(try await redis.send("SCRIPT", "LOAD", .text(script)).string)
                #expect(try await redis.evalsha(hash, keys: ["k"], arguments: ["a"]).array?.count == 4)
                await expectError(.noScript) { try await redis.evalsha(String(repeating: "0", count: 40)) }
                await expectError(.serverError) { try await redis.eval("this is not Lua") }
                await expectError(.serverError) { try await redis.eval("return redis.error_reply('MY own')") }
            }
        }

        @Test("connections are identified, unblocked and killed", arguments: TestServer.all)
        func clients(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await redis.withConnection { connection in
                    let id = try await connection.clientID()
                    #expect(try await connection.clientID() == id)
                    #expect(try await redis.clientUnblock(id: id) == false)

                    async let timedOut = connection.xread([StreamOffset(stream)], block: .seconds(20))
                    try await eventually("unblocked") { try await redis.clientUnblock(id: id) }
                    #expect(try await timedOut.isEmpty)

                    async let failed = Self.error {
                        _ = try await connection.xread([StreamOffset(stream)], block: .seconds(20))
                    }
                    try await eventually("unblocked") { try await redis.clientUnblock(id: id, reason: .error) }
                    #expect(await failed?.code == .unblocked)

                    #expect(try await redis.clientKill(id: id))
                    #expect(try await redis.clientKill(id: id) == false)
                    await expectError(.connectionClosed) { try await connection.ping() }
                }
                try await redis.ping()
            }
        }

        static func error(_ body: () async throws -> Void) async -> RedisError? {
            do {
                try await body()
                return nil
            } catch {
                return error as? RedisError
            }
        }

        @Test("INFO, ROLE and WAIT describe the server", arguments: TestServer.all)
        func server(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let info = try await redis.info()
                let version = try #require(info.version)
                // In the matrix, the name of a server contains its version.
                let name = "\(info.server == .valkey ? "valkey" : "redis")-\(version.major).\(version.minor)"
                #expect(binary.name == name || !binary.name.contains(where: \.isNumber))
                #expect(try await redis.info("memory")["used_memory"] != nil)
                guard case .master(_, 0) = try await redis.role() else {
                    Issue.record("not a master without replicas")
                    return
                }
                let start = ContinuousClock.now
                #expect(try await redis.wait(replicas: 1, timeout: .milliseconds(50)) == 0)
                #expect(ContinuousClock.now - start >= .milliseconds(45))
                #expect(try await redis.wait(replicas: 0, timeout: .seconds(10)) == 0)
            }
        }

        @Test("any command can be sent", arguments: TestServer.all)
        func raw(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let key = FieldValue.text(StreamKey.unique().rawValue)
                let stored = try await redis.send("SET", key, .bytes([0, 13, 10, 255]))
                #expect(stored.string == "OK")
                #expect(try await redis.send("GET", key).bytes == [0, 13, 10, 255])
                #expect(try await redis.send("DEL", key).integer == 1)
                #expect(try await redis.send("GET", key).isNull)
                #expect(try await redis.send("ECHO", "").string == "")
                let error = await expectError(.serverError) { try await redis.send("NOSUCHCOMMAND", .text(secret)) }
                #expect(error?.command == "NOSUCHCOMMAND")
                await expectError(.serverError) { try await redis.send("CONFIG", "SET", "no-such", .text(secret)) }
                for refused in ["SUBSCRIBE", "MULTI", "SELECT", "MONITOR", "WATCH"] {
                    await expectError(.invalidArgument) { try await redis.send(.text(refused), "x") }
                }
                await expectError(.invalidArgument) { try await redis.send("BLPOP", key, "0") }
                #expect(try await redis.send("BLPOP", key, "0.05").isNull)
            }
        }
    }

    /// Commands and options that some or all servers of the matrix lack.
    @Suite struct NewCommands {
        @Test("commands of Redis 8.2 work there, and are an error on older servers", arguments: TestServer.all)
        func redis82(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let (stream, ids) = try await GroupCommands.makeGroup(redis, count: 6)
                let other = "other"
                try await redis.xgroupCreate(stream, group: other)
                _ = try await GroupCommands.readNew(redis, stream, count: 4)
                if try await redis.isOlder(than: "8.2") {
                    try await Self.expectUnsupported(redis, "XACKDEL", "8.2") {
                        try await redis.xackdel(stream, group: "g", ids: ids)
                    }
                    try await Self.expectUnsupported(redis, "XDELEX", "8.2") {
                        try await redis.xdelex(stream, ids: ids)
                    }
                    try await Self.expectUnsupported(redis, "XTRIM", "8.2") {
                        try await redis.xtrim(stream, .exactly(maxLength: 1), references: .delete)
                    }
                    try await Self.expectUnsupported(redis, "XADD", "8.2") {
                        try await redis.xadd(stream, ["n": 1], trim: .exactly(maxLength: 1), references: .keep)
                    }
                    #expect(try await redis.xlen(stream) == 6)
                    return
                }
                #expect(
                    try await redis.xackdel(stream, group: "g", ids: [ids[0], ids[5]], references: .delete)
                        == [.deleted, .notFound]
                )
                #expect(
                    try await redis.xackdel(stream, group: "g", ids: [ids[1]], references: .acknowledged)
                        == [.stillReferenced]
                )
                #expect(
                    try await redis.xdelex(stream, ids: [ids[2], ids[0]], references: .delete) == [.deleted, .notFound]
                )
                #expect(try await redis.xdelex(stream, ids: [ids[3]], references: .acknowledged) == [.stillReferenced])
                #expect(try await redis.xpending(stream, group: "g").count == 1)
                #expect(try await redis.xtrim(stream, .exactly(maxLength: 0), references: .acknowledged) == 0)
                try await redis.xadd(stream, ["n": 1], trim: .exactly(maxLength: 1), references: .delete)
                #expect(try await redis.xlen(stream) == 1)
                #expect(try await redis.xpending(stream, group: "g").count == 0)
            }
        }

        @Test("a command that the server lacks is an error with command and version", arguments: TestServer.all)
        func newerThanAll(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let (stream, ids) = try await GroupCommands.makeGroup(redis)
                let offset = GroupOffset(stream)
                try await Self.expectUnsupported(redis, "XREADGROUP", "8.4") {
                    try await redis.xreadgroup(group: "g", consumer: "c", streams: [offset], claim: .seconds(1))
                }
                try await Self.expectUnsupported(redis, "XADD", "8.6") {
                    try await redis.xadd(stream, ["n": 1], idempotency: .id("id", producer: "p"))
                }
                try await Self.expectUnsupported(redis, "XADD", "8.6") {
                    try await redis.xadd(stream, ["n": 1], idempotency: .contents(producer: "p"))
                }
                try await Self.expectUnsupported(redis, "XCFGSET", "8.6") {
                    try await redis.xcfgset(stream, idempotencyMaxSize: 10)
                }
                try await Self.expectUnsupported(redis, "XNACK", "8.8") {
                    try await redis.xnack(stream, group: "g", .fail, ids: ids)
                }
                try await Self.expectUnsupported(redis, "XREADGROUP", "8.10") {
                    try await redis.xreadgroup(group: "g", consumer: "c", streams: [offset], maxCount: 1)
                }
                try await Self.expectUnsupported(redis, "XREAD", "8.10") {
                    try await redis.xread([StreamOffset(stream)], maxSize: 100)
                }
                // The server has executed none of these commands, and the connection still works.
                guard try await redis.isOlder(than: "8.4") else { return }
                #expect(try await redis.xlen(stream) == 3)
                #expect(try await redis.xpending(stream, group: "g").count == 0)
            }
        }

        @Test("options of Redis 7.0 work there, and are an error on older servers", arguments: TestServer.all)
        func redis70(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await redis.xadd(stream, ["n": 1], id: .id(StreamID(milliseconds: 7)))
                guard try await !redis.isOlder(than: "7.0") else {
                    try await Self.expectUnsupported(redis, "XADD", "7.0") {
                        try await redis.xadd(stream, ["n": 1], id: .milliseconds(8))
                    }
                    try await Self.expectUnsupported(redis, "XGROUP CREATE", "7.0") {
                        try await redis.xgroupCreate(stream, group: "g", entriesRead: 1)
                    }
                    try await Self.expectUnsupported(redis, "XSETID", "7.0") {
                        try await redis.xsetid(
                            stream,
                            lastID: StreamID(milliseconds: 9),
                            entriesAdded: 5,
                            maxDeletedID: .zero
                        )
                    }
                    return
                }
                let id = try await redis.xadd(stream, ["n": 1], id: .milliseconds(7))
                #expect(id == StreamID(milliseconds: 7, sequence: 1))
                try await redis.xgroupCreate(stream, group: "g", from: .id(id), entriesRead: 2)
                #expect(try await redis.xinfoGroups(stream).first?.entriesRead == 2)
                try await redis.xgroupSetID(stream, group: "g", to: .beginning, entriesRead: 0)
                #expect(try await redis.xinfoGroups(stream).first?.lag == 2)
                try await redis.xsetid(
                    stream,
                    lastID: StreamID(milliseconds: 9),
                    entriesAdded: 5,
                    maxDeletedID: StreamID(milliseconds: 8)
                )
                let details = try await redis.xinfoStream(stream).details
                #expect(details.entriesAdded == 5)
                #expect(details.maxDeletedEntryID == StreamID(milliseconds: 8))
            }
        }

        /// Expects `body` to succeed on a server with the version, and an error that names it on others.
        private static func expectUnsupported(
            _ redis: RedisClient,
            _ command: String,
            _ version: String,
            sourceLocation: SourceLocation = #_sourceLocation,
            _ body: () async throws -> some Any
        ) async throws {
            guard try await redis.isOlder(than: version) else {
                _ = try await body()
                return
            }
            let error = await expectError(.unsupportedByServer, sourceLocation: sourceLocation, body)
            #expect(error?.command == command, sourceLocation: sourceLocation)
            #expect(error?.message.contains("Redis \(version)") == true, sourceLocation: sourceLocation)
        }
    }
}
