import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.timeLimit(.minutes(1))) struct GroupConsumerStartTests {
    @Test func `It reads what it has pending, page by page, claims, and then reads new messages`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.nextConnection()
            await server.expect(readPending(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readPending(after: "2-0"), answer: noPending)
            await server.expect(claim(), answer: claimed(next: "9-0", [entry("3-0")]))
            await server.expect(readNew(), answer: batch(entry("20-0")))
            await server.expect(claim(from: "9-0"), answer: claimed([entry("10-0")]))
            await server.expect(readNew(block: nil), answer: batch(entry("21-0")))
            await server.expect(readNew())
            var got: [String] = []
            for _ in 0..<6 {
                guard let message = try await messages.next() else { break }
                got.append("\(message.id) \(message.source) \(message.isRedelivered)")
            }
            #expect(
                got == [
                    "1-0 pending true", "2-0 pending true", "3-0 claimed true", "20-0 new false", "10-0 claimed true",
                    "21-0 new false",
                ]
            )
        }
    }

    @Test func `The group and the stream are created where the configuration says, if they are missing`() async throws {
        let play = GroupPlay { $0.start = .latest }
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.nextConnection()
            await server.expect(readPending(), answer: "-NOGROUP No such key 'orders' or consumer group\r\n")
            await server.expect(["XGROUP", "CREATE", "orders", "billing", "$", "MKSTREAM"], answer: "+OK\r\n")
            await server.expect(readPending(), answer: noPending)
            await server.expect(claim(), answer: claimed())
            await server.expect(readNew())
            guard case .groupCreated = await play.events.wait(for: 1)[0] else {
                Issue.record("not told of the new group")
                return
            }
            _ = messages
        }
    }

    @Test(arguments: [
        "-NOGROUP No such key 'orders' or consumer group 'billing' in XREADGROUP with GROUP option\r\n",
        "-NOGROUP the consumer group this client was blocked on no longer exists\r\n",
    ])
    func `A group that vanishes while consuming is created from the beginning, at once`(error: String) async throws {
        let play = GroupPlay { $0.start = .latest }
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: error)
            await server.expect(["XGROUP", "CREATE", "orders", "billing", "0-0", "MKSTREAM"])
            server.send("-BUSYGROUP Consumer Group name already exists\r\n")
            // The new group has not been swept yet.
            await server.expect(readNew())
            _ = messages
        }
    }

    @Test func `A read that the server ends is sent again after a while`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: "-UNBLOCKED the stream key no longer exists\r\n")
            guard case .interrupted(let error, let delay) = await play.events.wait(for: 1)[0] else {
                Issue.record("not told of the interruption")
                return
            }
            #expect(error.code == .unblocked)
            await play.clock.advance(by: delay)
            await server.expect(readNew(), answer: "-NOGROUP No such key\r\n")
            guard case .interrupted(_, let again) = await play.events.wait(for: 2)[1] else { return }
            await play.clock.advance(by: again)
            #expect(await server.nextCommand()?.prefix(2) == ["XGROUP", "CREATE"])
            server.send("+OK\r\n")
            await server.expect(readNew())
            _ = messages
        }
    }

    @Test func `A group that is taken away again and again is not created in a storm`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: "-NOGROUP gone\r\n")
            for round in 1...3 {
                #expect(await server.nextCommand()?.prefix(2) == ["XGROUP", "CREATE"])
                server.send("+OK\r\n")
                await server.expect(readNew(), answer: "-NOGROUP gone\r\n")
                let events = await play.events.wait(for: round * 2)
                guard case .interrupted(let error, let delay) = events[round * 2 - 1] else {
                    Issue.record("it does not wait")
                    return
                }
                #expect(error.code == .noGroup)
                await play.clock.advance(by: delay)
            }
            _ = messages
        }
    }

    @Test func `A key of another type is thrown`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            async let error = caught { for try await _ in consumer {} }
            let server = await play.nextConnection()
            await server.expect(readPending(), answer: "-WRONGTYPE Operation against a key\r\n")
            #expect(await error?.code == .wrongType)
        }
    }

    @Test(arguments: ["-NOPERM this user has no permissions\r\n", "-NOAUTH Authentication required.\r\n"])
    func `A missing right is thrown, also by run, and after what was read before`(reply: String) async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let handled = Journal<String>()
            let server = play.serve(new: Replies(batch(entry("1-0")), reply))
            let error = await play.clock.advance(by: .milliseconds(1)) {
                await caught { try await consumer.run { handled.record($0.name) } }
            }
            // What was handled is still acknowledged.
            #expect(server.acknowledged == ["1-0"])
            #expect(error?.code == .permissionDenied || error?.code == .authenticationFailed)
            #expect(handled.all == ["1-0"])
        }
    }

    @Test func `An idle stream is looked through for what to claim, on time`() async throws {
        let play = GroupPlay { $0.claimInterval = .seconds(2) }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(block: 2000))
            await play.clock.advance(by: .seconds(2))
            server.send(nothing)
            await server.expect(claim(), answer: claimed([entry("1-0")]))
            await server.expect(readNew(block: 2000))
            await play.clock.advance(by: .milliseconds(500))
            server.send(batch(entry("2-0")))
            await server.expect(readNew(block: 1500))
            let first = try await messages.next()
            #expect(first?.source == .claimed)
        }
    }

    @Test func `A consumer without a name has one of its own`() throws {
        let redis = try FakeTransport().makeClient()
        let names = (0..<100).map { _ in GroupConsumer(redis, stream: "a", group: "b").name }
        #expect(Set(names).count == 100)
        #expect(names.allSatisfy { !$0.isEmpty })
    }

    @Test func `What cannot be is refused before anything is sent`() async throws {
        let redis = try FakeTransport().makeClient()
        let changes: [@Sendable (inout GroupConsumer.Configuration) -> Void] = [
            { $0.batchSize = 0 }, { $0.prefetch = -1 }, { $0.block = .zero }, { $0.block = .seconds(3601) },
            { $0.claimIdleTime = .zero }, { $0.claimInterval = .seconds(-1) }, { $0.backoff.base = .zero },
        ]
        for change in changes {
            var configuration = GroupConsumer.Configuration()
            change(&configuration)
            let consumer = GroupConsumer(redis, stream: "a", group: "b", configuration: configuration)
            let iterating = await caught { for try await _ in consumer {} }
            #expect(iterating?.code == .invalidConfiguration)
            let running = await caught { try await consumer.run { _ in } }
            #expect(running?.code == .invalidConfiguration)
        }
        let consumer = GroupConsumer(redis, stream: "a", group: "b")
        let error = await caught { try await consumer.run(concurrency: 0) { _ in } }
        #expect(error?.code == .invalidArgument)
    }
}
