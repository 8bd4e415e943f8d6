import Foundation
import RedisStreams
import Testing

extension IntegrationTests {
    /// Fan-out readers whose streams are recreated, replaced, or lose entries.
    @Suite struct Discontinuities {
        static let block = Duration.milliseconds(500)

        private static func configuration(
            _ policy: DiscontinuityPolicy = .follow
        ) -> StreamConsumer.Configuration {
            var configuration = StreamConsumer.Configuration()
            configuration.block = block
            configuration.discontinuity = policy
            return configuration
        }

        /// A way to lose a stream, which is then recreated with lower ids.
        enum Loss: String, CaseIterable, CustomTestStringConvertible {
            case del, unlink, flushall, flushdb, rename, expire

            var testDescription: String { rawValue }

            func strike(_ stream: StreamKey, _ redis: RedisClient) async throws {
                let key = FieldValue.text(stream.rawValue)
                switch self {
                case .del: try await redis.send("DEL", key)
                case .unlink: try await redis.send("UNLINK", key)
                case .flushall: try await redis.send("FLUSHALL")
                case .flushdb: try await redis.send("FLUSHDB", "ASYNC")
                case .rename: try await redis.send("RENAME", key, "elsewhere")
                case .expire:
                    try await redis.send("PEXPIRE", key, 1)
                    try await eventually("it has expired") { try await redis.exists(stream) == 0 }
                }
                try await redis.xadd(stream, ["n": "recreated"], id: .id(StreamID(milliseconds: 5)))
            }
        }

        @Test(
            "a stream recreated with lower ids is noticed within two block periods, and read",
            arguments: TestServer.all,
            Loss.allCases
        )
        func recreated(binary: ServerBinary, loss: Loss) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient { redis in
                    let consumer = StreamConsumer(
                        redis,
                        stream: "s",
                        from: .beginning,
                        configuration: Self.configuration()
                    )
                    let seen = Recorder<String>()
                    let reader = Task { for try await message in consumer { seen.add(message["n"] ?? "") } }
                    try await redis.xadd("s", ["n": "old"], id: .id(StreamID(milliseconds: 100)))
                    try await eventually("it is read") { seen.count == 1 }
                    try await eventually("the reader is blocked") {
                        try await redis.info("clients")["blocked_clients"] == "1"
                    }
                    let start = ContinuousClock.now
                    try await loss.strike("s", redis)
                    try await eventually("it is noticed") { consumer.counters.discontinuities == 1 }
                    #expect(ContinuousClock.now - start < Self.block * 2 + .milliseconds(200))
                    try await eventually("it is read") { seen.count == 2 }
                    try await redis.xadd("s", ["n": "next"])
                    try await eventually("the next entry is read") { seen.count == 3 }
                    #expect(seen.all == ["old", "recreated", "next"])
                    reader.cancel()
                    try await reader.value
                    #expect(consumer.counters.discontinuities == 1)
                }
            }
        }

        @Test("control run: without the policy, a recreated stream is not read", arguments: TestServer.all)
        func control(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let consumer = StreamConsumer(
                    redis,
                    stream: stream,
                    from: .beginning,
                    configuration: Self.configuration(.ignore)
                )
                let seen = Recorder<String>()
                let reader = Task { for try await message in consumer { seen.add(message["n"] ?? "") } }
                try await redis.xadd(stream, ["n": "old"], id: .id(StreamID(milliseconds: 100)))
                try await eventually("it is read") { seen.count == 1 }
                try await Loss.del.strike(stream, redis)
                try await eventually("it is noticed") { consumer.counters.discontinuities == 1 }
                try await redis.xadd(stream, ["n": "behind"], id: .id(StreamID(milliseconds: 101)))
                try await eventually("the entry after the position is read") { seen.count == 2 }
                #expect(seen.all == ["old", "behind"])
                reader.cancel()
                try await reader.value
            }
        }

        @Test("a reader with the policy stop throws", arguments: TestServer.all)
        func stops(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await redis.xadd(stream, ["n": "5"], id: .id(StreamID(milliseconds: 5)))
                let position = StreamConsumer.Start.after(StreamID(milliseconds: 100))
                await expectError(.discontinuity, within: .seconds(5)) {
                    let configuration = Self.configuration(.stop)
                    for try await _ in StreamConsumer(
                        redis,
                        stream: stream,
                        from: position,
                        configuration: configuration
                    ) {}
                }
            }
        }

        @Test(
            "deleting and trimming read entries is no discontinuity, and trimmed unread entries are counted",
            arguments: TestServer.all
        )
        func trimming(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient { redis in
                    var configuration = Self.configuration()
                    configuration.prefetch = 0
                    configuration.batchSize = 1
                    configuration.maxBatchSize = 1
                    let consumer = StreamConsumer(redis, stream: "s", from: .beginning, configuration: configuration)
                    let seen = Recorder<String>()
                    let mayGoOn = Recorder<Bool>()
                    let reader = Task {
                        for try await message in consumer {
                            seen.add(message["n"] ?? "")
                            if message["n"] == "wait" { try await eventually("it may go on") { mayGoOn.count > 0 } }
                        }
                    }
                    var last = try await redis.xadd("s", ["n": "1"])
                    _ = try await redis.xadd("s", ["n": "2"])
                    try await eventually("both are read") { seen.count == 2 }
                    try await redis.xdel("s", ids: [last])
                    last = try await redis.xadd("s", ["n": "3"])
                    try await eventually("it is read") { seen.count == 3 }
                    try await redis.xdel("s", ids: [last])
                    try await redis.xtrim("s", .exactly(maxLength: 0))
                    try await redis.moreReads(3)
                    #expect(consumer.counters.discontinuities == 0)
                    #expect(consumer.counters.trimmedUnread == 0)

                    try await redis.xadd("s", ["n": "wait"])
                    try await eventually("it is read") { seen.count == 4 }
                    // Two more entries may be in flight or buffered already.
                    for n in 1...20 { try await redis.xadd("s", ["n": .integer(n)]) }
                    try await redis.xtrim("s", .exactly(maxLength: 1))
                    mayGoOn.add(true)
                    try await eventually("the last one is read") { seen.all.last == "20" }
                    let lost = 20 - (seen.count - 4)
                    #expect(lost > 0)
                    if binary.name.contains("6.2") {
                        try await redis.moreReads(3)
                    } else {
                        try await eventually("the lost ones are counted") { consumer.counters.trimmedUnread == lost }
                    }
                    #expect(consumer.counters.discontinuities == 0)
                    reader.cancel()
                    try await reader.value
                }
            }
        }

        @Test("of several streams, a replaced one is dropped, and the others go on", arguments: TestServer.all)
        func replaced(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let (good, bad) = (StreamKey.unique("good"), StreamKey.unique("bad"))
                let consumer = StreamConsumer(
                    redis,
                    streams: [good: .beginning, bad: .beginning],
                    configuration: Self.configuration()
                )
                let seen = Recorder<String>()
                let reader = Task { for try await message in consumer { seen.add(message["n"] ?? "") } }
                try await redis.xadd(bad, ["n": "1"])
                try await eventually("it is read") { seen.count == 1 }
                _ = try await redis.send("SET", .text(bad.rawValue), "text")
                try await eventually("it is noticed") { consumer.counters.discontinuities == 1 }
                try await redis.xadd(good, ["n": "2"])
                try await eventually("the other one goes on") { seen.count == 2 }
                _ = try await redis.send("SET", .text(good.rawValue), "text")
                await expectError(.wrongType) { try await reader.value }
            }
        }

        @Test("a reader without the right to probe its stream still reads", arguments: TestServer.all)
        func rights(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient { admin in
                    _ = try await admin.send(
                        "ACL",
                        "SETUSER",
                        "reader",
                        "on",
                        "nopass",
                        "~*",
                        "+xread",
                        "+ping",
                        "+client"
                    )
                    try await server.withClient {
                        $0.connection.username = "reader"
                        $0.connection.password = Password("any")
                    } _: { redis in
                        let consumer = StreamConsumer(
                            redis,
                            stream: "s",
                            from: .beginning,
                            configuration: Self.configuration()
                        )
                        let seen = Recorder<String>()
                        let reader = Task { for try await message in consumer { seen.add(message["n"] ?? "") } }
                        try await admin.xadd("s", ["n": "1"])
                        try await eventually("it is read") { seen.count == 1 }
                        try await admin.moreReads(2)
                        try await admin.xadd("s", ["n": "2"])
                        try await eventually("it is read") { seen.count == 2 }
                        #expect(consumer.counters.interruptions == 0)
                        reader.cancel()
                        try await reader.value
                    }
                }
            }
        }

        @Test("an idle reader does not download the first and the last entry", arguments: TestServer.all)
        func idle(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { server in
                try await server.withClient { redis in
                    let large = FieldValue.text(String(repeating: "x", count: 10 << 20))
                    for n in 1...2 { try await redis.xadd("s", ["n": .integer(n), "large": large]) }
                    let consumer = StreamConsumer(
                        redis,
                        stream: "s",
                        from: .latest,
                        configuration: Self.configuration()
                    )
                    let before = try await Self.bytesSent(redis)
                    let reader = Task { for try await _ in consumer {} }
                    try await consumer.ready()
                    try await redis.moreReads(6)
                    // Most of these bytes are replies to this test.
                    let sent = try await Self.bytesSent(redis) - before
                    #expect(sent < 5 << 20)
                    #expect(consumer.counters.discontinuities == 0)
                    reader.cancel()
                    try await reader.value
                }
            }
        }

        private static func bytesSent(_ redis: RedisClient) async throws -> Int {
            Int(try await redis.info("stats")["total_net_output_bytes"] ?? "") ?? 0
        }

        @Test("entries lost by a failover are noticed, and those added instead are read", arguments: TestServer.all)
        func failover(binary: ServerBinary) async throws {
            try await TestServer.withOwn(binary) { master in
                try await TestServer.withOwn(binary) { replica in
                    try await master.withClient { old in
                        try await replica.withClient { new in
                            try await Self.failOver(from: (master, old), to: new, binary)
                        }
                    }
                }
            }
        }

        /// Promotes the replica while the old master still accepts writes, and then makes the old one a replica of the
        /// new one.
        private static func failOver(
            from master: (server: TestServer, client: RedisClient),
            to new: RedisClient,
            _ binary: ServerBinary
        ) async throws {
            let old = master.client
            _ = try await new.send("REPLICAOF", "127.0.0.1", .integer(master.server.port))
            try await eventually("it replicates") { try await new.info("replication")["master_link_status"] == "up" }
            let consumer = StreamConsumer(old, stream: "s", from: .beginning, configuration: configuration())
            let seen = Recorder<String>()
            let reader = Task { for try await message in consumer { seen.add(message["n"] ?? "") } }
            var last = StreamID.zero
            for n in 1...5 { last = try await old.xadd("s", ["n": .integer(n)]) }
            try await eventually("they are read, and replicated") {
                let length = try await new.xlen("s")
                return seen.count == 5 && length == 5
            }
            _ = try await new.send("REPLICAOF", "NO", "ONE")
            // The new ones are below the position, and have other ids than the lost ones. (By chance both could give the
            // same ids, within one millisecond: then nothing could tell them from each other.)
            for n in 6...8 {
                let id = StreamID(milliseconds: last.milliseconds, sequence: last.sequence + UInt64(n))
                try await new.xadd("s", ["n": "new-\(n)"], id: .id(id))
            }
            for n in 6...8 { try await old.xadd("s", ["n": "lost-\(n)"]) }
            try await eventually("the lost ones are read") { seen.count == 8 }
            // The reader has to probe the stream after it has read the last entry.
            let probes = try await old.calls(of: "xinfo", "xinfo|stream")
            try await eventually("the reader has probed the stream") {
                try await old.calls(of: "xinfo", "xinfo|stream") >= probes + 2
            }
            try await new.xadd("s", ["n": "last"])
            let port = try await new.info("server")["tcp_port"] ?? ""
            _ = try await old.send("REPLICAOF", "127.0.0.1", .text(port))
            let isNoticed = !binary.name.contains("6.2")
            if isNoticed {
                try await eventually("it is noticed") { consumer.counters.discontinuities == 1 }
                try await eventually("the entries added instead are read") {
                    Set(seen.all).isSuperset(of: ["new-6", "new-7", "new-8", "last"])
                }
            } else {
                try await eventually("the entry after the position is read") { seen.all.contains("last") }
            }
            #expect(consumer.counters.interruptions > 0)
            reader.cancel()
            try await reader.value
        }
    }
}
