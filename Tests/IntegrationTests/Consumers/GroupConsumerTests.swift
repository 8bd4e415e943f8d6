import RedisStreams
import Synchronization
import Testing

extension IntegrationTests {
    /// Consumer groups on a healthy server.
    @Suite struct GroupConsumers {
        static func configuration(
            _ acknowledgement: GroupConsumer.Acknowledgement = .afterHandling,
            _ change: (inout GroupConsumer.Configuration) -> Void = { _ in }
        ) -> GroupConsumer.Configuration {
            var configuration = GroupConsumer.Configuration()
            configuration.acknowledgement = acknowledgement
            configuration.claimIdleTime = .seconds(1)
            change(&configuration)
            return configuration
        }

        static func add(_ numbers: ClosedRange<Int>, to stream: StreamKey, _ redis: RedisClient) async throws {
            for result in try await redis.pipeline(numbers.map { XADD(stream, ["n": .integer($0)]) }) {
                _ = try result.get()
            }
        }

        static func pending(_ redis: RedisClient, _ stream: StreamKey) async throws -> Int {
            try await redis.xpending(stream, group: "g").count
        }

        @Test(
            "all messages are handled in order, in every mode and both kinds of loop",
            arguments: TestServer.all,
            [GroupConsumer.Acknowledgement.afterHandling, .onDelivery, .never, .manual]
        )
        func modes(binary: ServerBinary, mode: GroupConsumer.Acknowledgement) async throws {
            for route in Route.allCases {
                try await TestServer.shared(binary).withClient(route) { redis in
                    let stream = StreamKey.unique()
                    try await Self.add(1...300, to: stream, redis)
                    let consumer = GroupConsumer(
                        redis,
                        stream: stream,
                        group: "g",
                        configuration: Self.configuration(mode)
                    )
                    var seen: [Int] = []
                    // The group does not exist yet. One loop is left, and a second one goes on.
                    for try await message in consumer {
                        seen.append(message.number)
                        if mode == .manual { message.acknowledge() }
                        if seen.count == 300 { try await Self.add(301...600, to: stream, redis) }
                        if seen.count == 600 { break }
                    }
                    #expect(seen == Array(1...600))
                    // The last message was not finished, since the loop did not ask for the next one.
                    let left = mode == .afterHandling ? 1 : 0
                    try await eventually("\(left) pending") { try await Self.pending(redis, stream) == left }
                    // Without a pending list, a message that the server delivers to a closing reader is lost.
                    try await eventually("the reader is gone") {
                        try await redis.info("clients")["blocked_clients"] == "0"
                    }
                    try await Self.add(601...700, to: stream, redis)
                    var again: [Int] = []
                    for try await message in consumer.messages {
                        again.append(message.number)
                        if mode == .manual { message.acknowledge() }
                        if again.count == 100 + left { break }
                    }
                    // The unfinished message is handled in quarantine, beside the others.
                    #expect(again.filter { $0 > 600 } == Array(601...700))
                    #expect(again.sorted() == Array((601 - left)...700))
                }
            }
        }

        @Test("a message acknowledged on delivery is not pending when it is handled", arguments: TestServer.all)
        func onDelivery(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await Self.add(1...10, to: stream, redis)
                let consumer = GroupConsumer(
                    redis,
                    stream: stream,
                    group: "g",
                    configuration: Self.configuration(.onDelivery)
                )
                for try await message in consumer {
                    // The consumer may have read the next messages by now.
                    let pending = try await redis.xpending(stream, group: "g", count: 10).map(\.id)
                    #expect(!pending.contains(message.id))
                    if message.number == 10 { break }
                }
            }
        }

        @Test("a message acknowledged by hand stays pending until then", arguments: TestServer.all)
        func manual(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await Self.add(1...10, to: stream, redis)
                let consumer = GroupConsumer(
                    redis,
                    stream: stream,
                    group: "g",
                    configuration: Self.configuration(.manual) { $0.claimIdleTime = .seconds(60) }
                )
                let messages = try await Self.messages(of: consumer, upTo: 10)
                #expect(try await Self.pending(redis, stream) == 10)
                #expect(try await consumer.acknowledge(messages[0..<4]) == 4)
                #expect(try await consumer.acknowledge(messages[0..<5]) == 1)
                #expect(try await consumer.acknowledge([]) == 0)
                #expect(try await Self.pending(redis, stream) == 5)
            }
        }

        /// The messages that a loop receives, up to the one with this number.
        private static func messages(of consumer: GroupConsumer, upTo number: Int) async throws -> [GroupMessage] {
            var messages: [GroupMessage] = []
            for try await message in consumer {
                messages.append(message)
                if message.number == number { break }
            }
            return messages
        }

        @Test("more messages than fit into one script call are acknowledged by hand", arguments: TestServer.all)
        func manyByHand(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await Self.add(1...9000, to: stream, redis)
                let configuration = Self.configuration(.manual) { $0.claimIdleTime = .seconds(60) }
                let consumer = GroupConsumer(redis, stream: stream, group: "g", configuration: configuration)
                let messages = try await Self.messages(of: consumer, upTo: 9000)
                #expect(try await consumer.acknowledge(messages) == 9000)
                #expect(try await Self.pending(redis, stream) == 0)
            }
        }

        @Test("a new group starts at the configured position", arguments: TestServer.all)
        func start(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await Self.add(1...10, to: stream, redis)
                let fifth = try await redis.xrange(stream)[4].id
                var consumer = GroupConsumer(
                    redis,
                    stream: stream,
                    group: "five",
                    configuration: Self.configuration { $0.start = .id(fifth) }
                )
                var iterator = consumer.makeAsyncIterator()
                var message = try await iterator.next()
                #expect(message?.number == 6)
                #expect(message?.source == .new)
                #expect(message?.isRedelivered == false)

                consumer = GroupConsumer(
                    redis,
                    stream: stream,
                    group: "latest",
                    configuration: Self.configuration { $0.start = .latest }
                )
                iterator = consumer.makeAsyncIterator()
                async let next = iterator.next()
                try await eventually("the group exists") { try await redis.xinfoGroups(stream).count == 2 }
                try await Self.add(11...11, to: stream, redis)
                message = try await next
                #expect(message?.number == 11)
            }
        }

        @Test("sixteen handlers at a time handle everything once", arguments: TestServer.all, Route.allCases)
        func concurrency(binary: ServerBinary, route: Route) async throws {
            try await TestServer.shared(binary).withClient(route) { redis in
                let stream = StreamKey.unique()
                let seen = Recorder<Int>()
                let atOnce = Mutex((now: 0, most: 0))
                let consumer = GroupConsumer(
                    redis,
                    stream: stream,
                    group: "g",
                    configuration: Self.configuration { $0.claimIdleTime = .seconds(60) }
                )
                let running = Task {
                    try await consumer.run(concurrency: 16) { message in
                        atOnce.withLock {
                            $0.now += 1
                            $0.most = max($0.most, $0.now)
                        }
                        try await redis.ping()
                        seen.add(message.number)
                        atOnce.withLock { $0.now -= 1 }
                    }
                }
                for batch in 0..<10 { try await Self.add((batch * 100 + 1)...(batch * 100 + 100), to: stream, redis) }
                try await eventually("all are handled") { seen.count >= 1000 }
                try await eventually("all are acknowledged") { try await Self.pending(redis, stream) == 0 }
                #expect(seen.all.sorted() == Array(1...1000))
                let most = atOnce.withLock { $0.most }
                #expect((2...16).contains(most))
                running.cancel()
                try await running.value
            }
        }

        @Test("eight consumers that start at once share one new group", arguments: TestServer.all)
        func manyStarts(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let seen = Recorder<Int>()
                let running = (0..<8).map { _ in
                    let consumer = GroupConsumer(
                        redis,
                        stream: stream,
                        group: "g",
                        configuration: Self.configuration {
                            $0.batchSize = 5
                            $0.prefetch = 0
                            $0.claimIdleTime = .seconds(60)
                        }
                    )
                    return Task { try await consumer.run { seen.add($0.number) } }
                }
                try await Self.add(1...1000, to: stream, redis)
                try await eventually("all are handled") { seen.count >= 1000 }
                #expect(seen.all.sorted() == Array(1...1000))
                try await eventually("all are acknowledged") { try await Self.pending(redis, stream) == 0 }
                let consumers = try await redis.xinfoConsumers(stream, group: "g")
                #expect((1...8).contains(consumers.count))
                for task in running { task.cancel() }
                for task in running { try await task.value }
            }
        }

        @Test("a restarted consumer gets its own pending messages first", arguments: TestServer.all)
        func ownPendingFirst(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await Self.add(1...250, to: stream, redis)
                let configuration = Self.configuration {
                    $0.claimIdleTime = .seconds(60)
                    // The consumer reads a full batch at once, although it does not know yet how long handlers take.
                    $0.prefetchTime = .seconds(3600)
                }
                var seen: [Int] = []
                for try await message in GroupConsumer(
                    redis,
                    stream: stream,
                    group: "g",
                    consumer: "me",
                    configuration: configuration
                ) {
                    seen.append(message.number)
                    if seen.count == 5 { break }
                }
                try await eventually("four are acknowledged") {
                    try await redis.xpending(stream, group: "g", count: 1).first?.id == redis.xrange(stream)[4].id
                }
                let held = try await Self.pending(redis, stream)
                #expect(held >= 96)
                var again: [(Int, GroupMessage.Source)] = []
                for try await message in GroupConsumer(
                    redis,
                    stream: stream,
                    group: "g",
                    consumer: "me",
                    configuration: configuration
                ) {
                    again.append((message.number, message.source))
                    #expect(message.isRedelivered == (message.source != .new))
                    if again.count == 246 { break }
                }
                // The unfinished message is quarantined: its consumer may have crashed on it.
                #expect(again.map(\.0).sorted() == Array(5...250))
                let others = again.filter { $0.0 != 5 }
                #expect(others.prefix(held - 1).allSatisfy { $0.1 == .pending })
                #expect(others.dropFirst(held - 1).allSatisfy { $0.1 == .new })
            }
        }

        @Test("messages of a dead consumer are claimed in time, also on an idle stream", arguments: TestServer.all)
        func claim(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let seen = Recorder<(Int, GroupMessage.Source)>()
                let claimed = Recorder<Int>()
                let consumer = GroupConsumer(
                    redis,
                    stream: stream,
                    group: "g",
                    configuration: Self.configuration {
                        $0.onEvent = { event in
                            if case .claimed(let count) = event { claimed.add(count) }
                        }
                    }
                )
                let running = Task { try await consumer.run { seen.add(($0.number, $0.source)) } }
                try await eventually("the consumer waits") { try await redis.info("clients")["blocked_clients"] != "0" }
                // A consumer that does not run reads messages. Nothing is added after that.
                try await redis.withConnection { other in
                    for batch in 0..<5 {
                        let (_, read) = try await redis.transaction(
                            XADD(stream, ["n": .integer(batch)]),
                            XREADGROUP(group: "g", consumer: "dead", streams: [GroupOffset(stream)])
                        )
                        let count = try read.get().first?.count
                        #expect(count == 1)
                    }
                }
                let start = ContinuousClock.now
                try await eventually("all are handled", within: .seconds(3)) { seen.count >= 5 }
                #expect(ContinuousClock.now - start < .seconds(3))
                #expect(seen.all.map(\.0).sorted() == Array(0..<5))
                #expect(seen.all.allSatisfy { $0.1 == .claimed })
                #expect(claimed.all.reduce(0, +) == 5)
                try await eventually("all are acknowledged") { try await Self.pending(redis, stream) == 0 }
                running.cancel()
                try await running.value
            }
        }

        @Test("claiming and reading take turns when there are many messages for both", arguments: TestServer.all)
        func claimMuch(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await redis.xgroupCreate(stream, group: "g", createStream: true)
                try await Self.add(1...1000, to: stream, redis)
                _ = try await redis.xreadgroup(group: "g", consumer: "dead", streams: [GroupOffset(stream)])
                try await Self.add(1001...2000, to: stream, redis)
                let seen = Recorder<Int>()
                let consumer = GroupConsumer(
                    redis,
                    stream: stream,
                    group: "g",
                    configuration: Self.configuration { $0.batchSize = 20 }
                )
                let running = Task { try await consumer.run { seen.add($0.number) } }
                try await eventually("all are acknowledged") {
                    guard seen.count >= 2000 else { return false }
                    return try await Self.pending(redis, stream) == 0
                }
                #expect(seen.all.sorted() == Array(1...2000))
                running.cancel()
                try await running.value
            }
        }

        @Test("deleted entries are reported and acknowledged, never delivered", arguments: TestServer.all)
        func deleted(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await redis.xgroupCreate(stream, group: "g", createStream: true)
                try await Self.add(1...10, to: stream, redis)
                // Five are pending for the consumer itself, five for another; of each, two are deleted.
                let mine = try await redis.xreadgroup(
                    group: "g",
                    consumer: "me",
                    streams: [GroupOffset(stream)],
                    count: 5
                )
                let others = try await redis.xreadgroup(group: "g", consumer: "dead", streams: [GroupOffset(stream)])
                let own = Array(try #require(mine.first).map(\.id)[1...2])
                let foreign = Array(try #require(others.first).map(\.id)[1...2])
                _ = try await redis.xdel(stream, ids: own + foreign)

                let seen = Recorder<Int>()
                let reported = Recorder<StreamID>()
                let consumer = GroupConsumer(
                    redis,
                    stream: stream,
                    group: "g",
                    consumer: "me",
                    configuration: Self.configuration {
                        $0.onEvent = { event in
                            if case .deleted(let ids) = event { for id in ids { reported.add(id) } }
                        }
                    }
                )
                let running = Task { try await consumer.run { seen.add($0.number) } }
                try await eventually("all are handled") { seen.count >= 6 }
                try await eventually("nothing is pending") { try await Self.pending(redis, stream) == 0 }
                #expect(seen.all.sorted() == [1, 4, 5, 6, 9, 10])
                #expect(reported.all.sorted() == (own + foreign).sorted())
                try await Self.add(11...11, to: stream, redis)
                try await eventually("the next message is handled") { seen.all.last == 11 }
                running.cancel()
                try await running.value
            }
        }

        @Test("a handler that throws gets its message again, and delays no other", arguments: TestServer.all)
        func throwingHandler(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await Self.add(1...20, to: stream, redis)
                let seen = Recorder<(Int, Bool)>()
                let consumer = GroupConsumer(redis, stream: stream, group: "g", configuration: Self.configuration())
                let running = Task {
                    try await consumer.run(concurrency: 2) { message in
                        let isFirst = !seen.all.contains { $0.0 == message.number }
                        seen.add((message.number, message.isRedelivered))
                        if isFirst && message.number % 5 == 0 { throw CancellationError() }
                    }
                }
                try await eventually("all are handled", within: .seconds(10)) { seen.count >= 24 }
                try await eventually("nothing is pending") { try await Self.pending(redis, stream) == 0 }
                let again = seen.all.filter(\.1).map(\.0).sorted()
                #expect(again == [5, 10, 15, 20])
                #expect(seen.all.filter { !$0.1 }.map(\.0).sorted() == Array(1...20))
                running.cancel()
                try await running.value
            }
        }

        @Test("a message keeps its lease while its handler is slow", arguments: TestServer.all)
        func slowHandler(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await Self.add(1...3, to: stream, redis)
                let seen = Recorder<Int>()
                let consumer = GroupConsumer(
                    redis,
                    stream: stream,
                    group: "g",
                    configuration: Self.configuration { $0.claimIdleTime = .milliseconds(500) }
                )
                let running = Task {
                    try await consumer.run { message in
                        seen.add(message.number)
                        guard message.number == 1 else { return }
                        let begin = ContinuousClock.now
                        try await eventually("several leases have passed") {
                            ContinuousClock.now - begin > .seconds(2)
                        }
                        let entry = try await redis.xpending(stream, group: "g", count: 3).first { $0.id == message.id }
                        #expect(entry?.deliveryCount == 1)
                        #expect(entry?.idleTime.map { $0 < .milliseconds(500) } == true)
                    }
                }
                try await eventually("nothing is pending") {
                    guard seen.count >= 3 else { return false }
                    return try await Self.pending(redis, stream) == 0
                }
                // The consumer may have returned the waiting messages to the group, and received them again in any
                // order.
                #expect(seen.all.first == 1 && seen.all.sorted() == [1, 2, 3])
                running.cancel()
                try await running.value
            }
        }

        @Test("a key that holds no stream is an error, at the start and later", arguments: TestServer.all)
        func wrongType(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let key = StreamKey.unique()
                _ = try await redis.send("SET", .text(key.rawValue), "text")
                let consumer = GroupConsumer(redis, stream: key, group: "g", configuration: Self.configuration())
                await expectError(.wrongType, within: .seconds(5)) { for try await _ in consumer {} }
                await expectError(.wrongType, within: .seconds(5)) { for try await _ in consumer.messages {} }
                await expectError(.wrongType, within: .seconds(5)) { try await consumer.run { _ in } }

                _ = try await redis.del(key)
                let running = Task { try await consumer.run { _ in } }
                try await eventually("the group exists") {
                    (try? await redis.xinfoGroups(key).count) == 1
                }
                _ = try await redis.send("SET", .text(key.rawValue), "text")
                await expectError(.wrongType, within: .seconds(8)) { try await running.value }
            }
        }

        @Test("an invalid configuration is an error", arguments: TestServer.all)
        func configuration(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                for change: (inout GroupConsumer.Configuration) -> Void in [
                    { $0.batchSize = 0 }, { $0.prefetch = -1 }, { $0.block = .zero }, { $0.claimIdleTime = .zero },
                ] {
                    let consumer = GroupConsumer(
                        redis,
                        stream: .unique(),
                        group: "g",
                        configuration: Self.configuration(.afterHandling, change)
                    )
                    await expectError(.invalidConfiguration) { for try await _ in consumer {} }
                    await expectError(.invalidConfiguration) { try await consumer.run { _ in } }
                }
                await expectError(.invalidArgument) {
                    try await GroupConsumer(redis, stream: .unique(), group: "g").run(concurrency: 0) { _ in }
                }
            }
        }
    }
}
