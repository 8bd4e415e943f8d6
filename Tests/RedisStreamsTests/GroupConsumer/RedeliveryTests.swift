import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct RedeliveryTests {
    @Test func `Deleted entries are acknowledged and reported, and the others handed out`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.nextConnection()
            await server.expect(recoveryPage(), answer: pending("1-0", "2-0", "3-0"))
            let page = reclaimed([("2-0", 1)], deleted: ["1-0", "3-0"])
            await server.expect(reclaim("1-0", "2-0", "3-0"), answer: page)
            await server.expectSnapshot()
            await server.expect(claim(), answer: claimed())
            await server.expect(readNew())
            await play.expectShared(acknowledgeIfOwned("1-0", "3-0"), answer: ":2\r\n")
            guard case .deleted(let gone) = await play.events.wait(for: 1)[0] else {
                Issue.record("the deleted entries were not reported")
                return
            }
            #expect(gone == ids("1-0", "3-0"))
            let first = try await messages.next()
            #expect(first?.name == "2-0")
        }
    }

    @Test func `Deleted entries that the server names are reported, and need no acknowledgement`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.nextConnection()
            await server.expect(recoveryPage(), answer: noPending)
            await server.expectSnapshot()
            await server.expect(claim(), answer: claimed([], deleted: ["1-0"]))
            await server.expect(readNew())
            guard case .deleted(let gone) = await play.events.wait(for: 1)[0] else { return }
            #expect(gone == ids("1-0"))
            _ = messages
        }
    }

    @Test func `Deleted entries that Redis 6.2 does not name are found when they are reclaimed`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.nextConnection()
            await server.expect(recoveryPage(), answer: noPending)
            await server.expectSnapshot()
            await server.expect(claim(), answer: array([bulk("0-0"), array([bulk("4-0"), bulk("5-0")])]))
            // The read was sent with the claim.
            await server.expect(readNew(), answer: nothing)
            await play.reclaiming().expect(reclaim("4-0", "5-0"), answer: reclaimed([("5-0", 1)], deleted: ["4-0"]))
            await server.expect(readNew())
            await play.expectShared(acknowledgeIfOwned("4-0"), answer: ":1\r\n")
            let first = try await messages.next()
            #expect(first?.name == "5-0")
        }
    }

    @Test func `After a lost connection a consumer reclaims only pending messages that it does not hold`()
        async throws
    {
        let play = GroupPlay()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew())
            let first = try await messages.next()
            // The reply with the third never arrives.
            server.send("*1\r\n*2\r\n")
            server.close()
            let next = try await play.reconnection()
            await next.expect(recoveryPage(), answer: pending("1-0", "2-0", "3-0"))
            // This consumer did not receive it: that is no crash.
            await next.expect(reclaim("3-0", mode: "counted"), answer: reclaimed([("3-0", 1)]))
            await next.expect(readNew())
            let second = try await messages.next()
            let third = try await messages.next()
            #expect([first?.name, second?.name, third?.name] == ["1-0", "2-0", "3-0"])
            #expect(third?.source == .pending)
            #expect(play.events.all.count == 1, "the interruption ends when a read was answered")
            next.send(batch(entry("4-0")))
            guard case .reconnected = await play.events.wait(for: 2)[1] else {
                Issue.record("the end of the interruption was not reported")
                return
            }
        }
    }

    @Test func `Without the recovery, a consumer does not find the messages of a lost reply`() async throws {
        let play = GroupPlay { $0.safeguards.remove(.recovery) }
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew())
            server.close()
            try await play.reconnection().expect(readNew())
            _ = messages
        }
    }

    @Test(arguments: [true, false])
    func `An acknowledgement whose reply was lost is sent again, and its message is not handed out again`(
        isGuarded: Bool
    ) async throws {
        let play = GroupPlay { if !isGuarded { $0.safeguards.remove(.reacknowledge) } }
        try await play.running { consumer in
            let (server, loop, handled) = await play.untilAcknowledgementIsUnanswered(by: consumer)
            server.close()
            guard case .interrupted(_, let delay) = await play.events.wait(for: 1)[0] else { return }
            let rest = play.serve(new: Replies(batch(entry("5-0"))), pending: Replies(pending("4-0")))
            await play.clock.advance(by: delay)
            let names = await handled.wait(for: 5)
            #expect(names == ["1-0", "2-0", "3-0", "4-0", "5-0"])
            let expected = isGuarded ? 4 : 3
            await play.clock.advance(by: .milliseconds(1)) { _ = await rest.acknowledged(atLeast: expected) }
            #expect(rest.acknowledged.filter { $0 == "1-0" }.count == (isGuarded ? 1 : 0))
            loop.cancel()
            try await loop.value
        }
    }

    @Test func `After a reclaim without a reply, each message is reclaimed alone, without a crash`() async throws {
        let play = GroupPlay { $0.claimInterval = .seconds(1) }
        try await play.running { consumer in
            let handled = Journal<Int>()
            let running = Task { try await consumer.run { handled.record($0.deliveryCount.rawValue) } }
            let server = await play.start()
            await server.expect(readNew(block: 1000))
            await play.idle(forSeconds: 1, thenClaim: ["1-0"], on: server)
            let reclaiming = await play.reclaiming()
            await reclaiming.expect(reclaim("1-0"))
            reclaiming.close()
            await play.clock.calmDown()
            let next = await play.clock.advance(by: .milliseconds(10)) { await play.nextConnection() }
            await next.expect(reclaim("1-0", mode: "counted"), answer: reclaimed([("1-0", 1)]))
            #expect(await handled.wait(for: 1) == [1])
            await play.end(running)
        }
    }

    @Test func `A claim does not reclaim messages that are held or being settled`() async throws {
        let play = GroupPlay { $0.claimInterval = .seconds(1) }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(block: 1000), answer: batch(entry("1-0")))
            await server.expect(readNew(block: 1000))
            let first = try await messages.next()
            await play.idle(forSeconds: 1, thenClaim: ["1-0"], on: server)
            await play.clock.calmDown()
            #expect(play.log.names.filter { $0 == "EVALSHA" }.count == 1, "the snapshot of the group")
            #expect(first?.isHeld == true)
        }
    }
}
