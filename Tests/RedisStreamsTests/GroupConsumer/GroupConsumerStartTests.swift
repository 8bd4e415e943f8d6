import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct GroupConsumerStartTests {
    @Test func `A consumer recovers its pending list page by page, claims, and then reads new messages`() async throws {
        let play = GroupPlay.small { $0.prefetch = 100 }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.nextConnection()
            await server.expect(recoveryPage(count: 2), answer: pending("1-0", "2-0"))
            await server.expect(reclaim("1-0", "2-0"), answer: reclaimed([("1-0", 1), ("2-0", 2001)]))
            await server.expect(recoveryPage(after: "2-0", count: 2), answer: pending("3-0"))
            await server.expect(reclaim("3-0"), answer: reclaimed([("3-0", 1)]))
            await server.expectSnapshot()
            await server.expect(claim(count: 2), answer: claimed(next: "9-0", ["4-0"]))
            await server.expect(readNew(count: 2))
            // On another connection, since the read waits on this one.
            await play.reclaiming().expect(reclaim("4-0"), answer: reclaimed([("4-0", 1001)]))
            await play.clock.calmDown()
            server.send(batch(entry("20-0")))
            await server.expect(claim(from: "9-0", count: 2), answer: claimed(["10-0"]))
            await server.expect(readNew(block: nil, count: 2))
            await play.reclaiming().expect(reclaim("10-0"), answer: reclaimed([("10-0", 1)]))
            await play.clock.calmDown()
            server.send(batch(entry("21-0")))
            await server.expect(readNew(count: 2))
            var got: [String] = []
            for _ in 0..<7 {
                guard let message = try await messages.next() else { break }
                got.append("\(message.id) \(message.source) \(message.isRedelivered) \(message.attempt)")
            }
            #expect(
                got == [
                    "1-0 pending true 1", "2-0 pending true 3", "3-0 pending true 1", "4-0 claimed true 2",
                    "20-0 new false 1", "10-0 claimed true 1", "21-0 new false 1",
                ]
            )
        }
    }

    @Test(
        arguments: [
            (XGROUP.Start.beginning, nil, "0-0"), (.id(id("3-1")), nil, "3-1"),
            (.latest, probed(last: "7-0"), "7-0"),
            (.latest, nothing, "0-0"),
        ] as [(XGROUP.Start, String?, String)]
    )
    func `The group and the stream are created where the configuration says, if they are missing`(
        start: XGROUP.Start,
        info: String?,
        position: String
    ) async throws {
        let play = GroupPlay { $0.start = start }
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.nextConnection()
            await server.expect(recoveryPage(), answer: "-NOGROUP No such key 'orders' or consumer group\r\n")
            if let info { await server.expect(probe(), answer: info) }
            await server.expect(creation(after: position), answer: "+OK\r\n")
            await server.expect(recoveryPage(), answer: noPending)
            await server.expectSnapshot()
            await server.expect(claim(), answer: claimed())
            await server.expect(readNew())
            guard case .groupCreated(let after, wasLost: false) = await play.events.wait(for: 1)[0] else {
                Issue.record("the new group was not reported")
                return
            }
            #expect(after == id(position))
            _ = messages
        }
    }

    @Test func `A read that the server unblocks is sent again after a pause`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: "-UNBLOCKED the stream key no longer exists\r\n")
            guard case .interrupted(let error, let delay) = await play.events.wait(for: 1)[0] else {
                Issue.record("the interruption was not reported")
                return
            }
            #expect(error.code == .unblocked)
            await play.clock.advance(by: delay)
            await server.expect(readNew(), answer: "-NOGROUP No such key\r\n")
            guard case .interrupted(_, let again) = await play.events.wait(for: 2)[1] else { return }
            await play.clock.advance(by: again)
            await server.expectCreation(after: "0-0", last: "0-0")
            await server.expect(readNew())
            _ = messages
        }
    }

    @Test func `A group that is deleted again and again is not created without a pause`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: "-NOGROUP gone\r\n")
            for round in 1...3 {
                await server.expectCreation(after: "0-0", last: "0-0")
                await server.expect(readNew(), answer: "-NOGROUP gone\r\n")
                let events = await play.events.wait(for: round * 2)
                guard case .interrupted(let error, let delay) = events[round * 2 - 1] else {
                    Issue.record("the consumer does not pause")
                    return
                }
                #expect(error.code == .noGroup)
                await play.clock.advance(by: delay)
            }
            _ = messages
        }
    }

    @Test func `The error for a key of another type is thrown`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            async let error = caught { for try await _ in consumer {} }
            let server = await play.nextConnection()
            await server.expect(recoveryPage(), answer: "-WRONGTYPE Operation against a key\r\n")
            #expect(await error?.code == .wrongType)
        }
    }

    @Test(arguments: ["-NOPERM this user has no permissions\r\n", "-NOAUTH Authentication required.\r\n"])
    func `The error for a missing right is thrown after messages that were read before`(reply: String) async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let handled = Journal<String>()
            let server = play.serve(new: Replies(batch(entry("1-0")), reply))
            let error = await play.clock.advance(by: .milliseconds(1)) {
                await caught { try await consumer.run { handled.record($0.name) } }
            }
            // Handled messages are still acknowledged.
            #expect(server.acknowledged == ["1-0"])
            #expect(error?.code == .permissionDenied || error?.code == .authenticationFailed)
            #expect(handled.all == ["1-0"])
        }
    }

    @Test func `On an idle stream, claim scans come on time`() async throws {
        let play = GroupPlay { $0.claimInterval = .seconds(2) }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(block: 2000))
            await play.idle(forSeconds: 2, thenClaim: ["1-0"], on: server)
            await play.reclaiming().expect(reclaim("1-0"), answer: reclaimed([("1-0", 1)]))
            await play.clock.calmDown()
            await play.clock.advance(by: .milliseconds(500))
            server.send(batch(entry("2-0")))
            await server.expect(readNew(block: 1500))
            let got = [try await messages.next()?.source, try await messages.next()?.source]
            #expect(got == [.claimed, .new])
        }
    }

    @Test func `A consumer without a name gets a unique one`() throws {
        let redis = try FakeTransport().makeClient()
        let names = (0..<100).map { _ in GroupConsumer(redis, stream: "a", group: "b").name }
        #expect(Set(names).count == 100)
        #expect(names.allSatisfy { !$0.isEmpty })
    }

    @Test func `A wrong configuration is refused before anything is sent`() async throws {
        let redis = try FakeTransport().makeClient()
        let changes: [@Sendable (inout GroupConsumer.Configuration) -> Void] = [
            { $0.batchSize = 0 }, { $0.prefetch = -1 }, { $0.block = .zero }, { $0.block = .seconds(3601) },
            { $0.claimIdleTime = .zero }, { $0.claimInterval = .seconds(-1) }, { $0.backoff.base = .zero },
            { $0.shutdownDeadline = .seconds(-1) }, { $0.retry = .fixed(.seconds(-1)) },
            { $0.deadLetter = DeadLetter("dead", maxAttempts: 0) },
            // The stream that the consumer reads.
            { $0.deadLetter = DeadLetter("a") },
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
