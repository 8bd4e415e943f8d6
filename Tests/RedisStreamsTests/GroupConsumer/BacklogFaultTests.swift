import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// One of two reads in flight fails: no message is lost, and none is handed out twice.
@Suite(.limitedTime) struct BacklogFaultTests {
    @Test func `After a lost connection, only the messages of the lost replies are delivered again`()
        async throws
    {
        let play = GroupPlay.small()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.startBacklog()
            server.send(batch(entry("3-0")))
            await play.clock.calmDown()
            server.close()
            let next = try await play.reconnection()
            await next.expect(recoveryPage(count: 2), answer: pending("1-0", "2-0"))
            await next.expect(recoveryPage(after: "2-0", count: 2), answer: pending("3-0", "4-0"))
            await next.expect(reclaim("4-0", mode: "counted"), answer: reclaimed([("4-0", 1)]))
            await next.expect(recoveryPage(after: "4-0", count: 2), answer: noPending)
            await next.expect(readNew(count: 2), answer: batch(entry("5-0")))
            var got: [String] = []
            for _ in 0..<5 { if let message = try await messages.next() { got.append(message.name) } }
            #expect(got == ["1-0", "2-0", "3-0", "4-0", "5-0"])
        }
    }

    @Test(arguments: [true, false]) func `A group that is lost with two reads in flight is created once`(
        both: Bool
    ) async throws {
        let play = GroupPlay.small()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.startBacklog()
            server.send(both ? "-NOGROUP gone\r\n" : batch(entry("3-0")))
            server.send("-NOGROUP gone\r\n")
            await server.expectCreation(after: "0-0", last: "9-0")
            await server.expect(readNew(count: 2), answer: batch(entry("4-0")))
            // The ids of buffered messages may belong to other entries now. Entries that still exist are delivered
            // again.
            let next = try await messages.next()
            #expect(next?.name == "4-0")
            #expect(play.log.names.filter { $0 == "XGROUP" }.count == 1)
        }
    }

    @Test func `The error for a key of another type is thrown after the messages that were read before`() async throws {
        let play = GroupPlay.small()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.startBacklog()
            server.send(batch(entry("3-0")) + "-WRONGTYPE Operation against a key\r\n")
            var got: [String] = []
            for _ in 0..<3 { if let message = try await messages.next() { got.append(message.name) } }
            #expect(got == ["1-0", "2-0", "3-0"])
            let error = await caught { try await messages.next() }
            #expect(error?.code == .wrongType)
        }
    }

    @Test func `After a reply that is too large, smaller reads follow, and later acknowledgements are sent again`()
        async throws
    {
        var play = GroupPlay.small()
        play.client.connection.limits.maxReplyBytes = 400
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.startBacklog()
            _ = try await messages.next()
            _ = try await messages.next()
            server.send(batch(entry("3-0"), entry("4-0")))
            await server.expect(acknowledge("1-0"))
            await server.expect(readNew(block: nil, count: 2))
            server.send(batch(entry("5-0", ["field", String(repeating: "x", count: 500)])))
            guard case .interrupted(let error, let delay) = await play.events.wait(for: 1)[0] else { return }
            #expect(error.code == .replyTooLarge)
            let rest = play.serve(new: Replies(batch(entry("6-0"))), pending: Replies(pending("5-0")))
            await play.clock.advance(by: delay)
            var got: [String] = []
            for _ in 0..<4 { if let message = try await messages.next() { got.append(message.name) } }
            #expect(got == ["3-0", "4-0", "5-0", "6-0"])
            #expect(rest.commands.all.contains(recoveryPage(count: 1)))
            let acknowledged = await play.clock.advance(by: .milliseconds(1)) { await rest.acknowledged(atLeast: 5) }
            #expect(Set(acknowledged) == ["1-0", "2-0", "3-0", "4-0", "5-0"])
        }
    }

    @Test func `On delivery, batches are handed out in order, each after its acknowledgement`() async throws {
        let play = GroupPlay.small { $0.acknowledgement = .onDelivery }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.startBacklog()
            server.send(batch(entry("3-0"), entry("4-0")))
            await server.expect(acknowledge("1-0", "2-0"))
            await server.expect(readNew(block: nil, count: 2))
            server.send(nothing + ":2\r\n" + nothing)
            await server.expect(acknowledge("3-0", "4-0"), answer: ":2\r\n")
            var got: [String] = []
            for _ in 0..<4 { if let message = try await messages.next() { got.append(message.name) } }
            #expect(got == ["1-0", "2-0", "3-0", "4-0"])
        }
    }
}
