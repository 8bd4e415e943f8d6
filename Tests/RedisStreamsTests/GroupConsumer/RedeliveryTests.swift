import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.timeLimit(.minutes(1))) struct RedeliveryTests {
    @Test func `Deleted entries are acknowledged and reported, and the others handed out`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.nextConnection()
            let page = batch(deletedEntry("1-0"), entry("2-0"), deletedEntry("3-0"))
            await server.expect(readPending(), answer: page)
            await server.expect(readPending(after: "3-0"), answer: noPending)
            await server.expect(claim(), answer: claimed())
            await server.expect(acknowledge("1-0", "3-0"), answer: ":2\r\n")
            await server.expect(readNew())
            guard case .deleted(let gone) = await play.events.wait(for: 1)[0] else {
                Issue.record("not told of the deleted entries")
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
            await server.expect(readPending(), answer: noPending)
            await server.expect(claim(), answer: claimed([], deleted: ["1-0"]))
            await server.expect(readNew())
            guard case .deleted(let gone) = await play.events.wait(for: 1)[0] else { return }
            #expect(gone == ids("1-0"))
            _ = messages
        }
    }

    @Test func `Deleted entries that Redis 6.2 does not name are found in what is pending`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.nextConnection()
            await server.expect(readPending(), answer: noPending)
            let old = array([bulk("0-0"), array(["$-1\r\n", entry("5-0")])])
            await server.expect(claim(), answer: old)
            // It went along with the claim.
            await server.expect(readNew(), answer: nothing)
            // The claimed one is held by now, and is not handed out a second time.
            await server.expect(readPending(), answer: batch(deletedEntry("4-0"), entry("5-0")))
            await server.expect(readPending(after: "5-0"), answer: noPending)
            await server.expect(acknowledge("4-0"), answer: ":1\r\n")
            await server.expect(readNew(), answer: batch(entry("6-0")))
            let got = [try await messages.next()?.name, try await messages.next()?.name]
            #expect(got == ["5-0", "6-0"])
        }
    }

    @Test func `After a lost connection it asks for what is pending and hands out only what it does not hold`()
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
            guard case .interrupted(_, let delay) = await play.events.wait(for: 1)[0] else { return }
            await play.clock.advance(by: delay)
            let next = await play.nextConnection()
            await next.expect(readPending(), answer: batch(entry("1-0"), entry("2-0"), entry("3-0")))
            await next.expect(readPending(after: "3-0"), answer: noPending)
            await next.expect(readNew())
            let second = try await messages.next()
            let third = try await messages.next()
            #expect([first?.name, second?.name, third?.name] == ["1-0", "2-0", "3-0"])
            #expect(third?.source == .pending)
        }
    }

    @Test func `An acknowledgement whose reply was lost is sent again, and its message is not handed out again`()
        async throws
    {
        let play = GroupPlay()
        try await play.running { consumer in
            let (server, loop, handled) = await play.untilAcknowledgementIsUnanswered(by: consumer)
            server.close()
            guard case .interrupted(_, let delay) = await play.events.wait(for: 1)[0] else { return }
            let rest = play.serve(
                new: Replies(batch(entry("5-0"))),
                pending: Replies(batch(entry("1-0"), entry("2-0"), entry("3-0"), entry("4-0")))
            )
            await play.clock.advance(by: delay)
            #expect(await handled.wait(for: 5) == ["1-0", "2-0", "3-0", "4-0", "5-0"])
            await play.clock.advance(by: .milliseconds(1)) { _ = await rest.acknowledged(atLeast: 4) }
            #expect(rest.acknowledged.filter { $0 == "1-0" }.count == 1)
            loop.cancel()
            try await loop.value
        }
    }
}
