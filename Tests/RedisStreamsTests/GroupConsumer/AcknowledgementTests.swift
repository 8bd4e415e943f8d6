import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct AcknowledgementTests {
    @Test func `Handled messages are acknowledged with the next read, in one write`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0"), entry("3-0")))
            await server.expect(readNew())
            for _ in 0..<3 { _ = try await messages.next() }
            server.send(batch(entry("4-0")))
            await server.expect(acknowledge("1-0", "2-0"), answer: ":2\r\n")
            await server.expect(readNew())
            #expect(play.log.joined.contains(["XACK", "XREADGROUP"]))
            // The third message is still being handled, and the fourth waits.
            let fourth = try await messages.next()
            #expect(fourth?.name == "4-0")
        }
    }

    @Test func `While the read waits on the server, acknowledgements go over a shared connection`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let gate = Gate()
            let loop = Task { for try await _ in consumer { await gate.wait() } }
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew())
            gate.open()
            await play.clock.calmDown()
            await play.expectShared(acknowledge("1-0", "2-0"), answer: ":2\r\n")
            loop.cancel()
            try await loop.value
        }
    }

    @Test func `On delivery, a message is handed out once the server has acknowledged it`() async throws {
        let play = GroupPlay { $0.acknowledgement = .onDelivery }
        try await play.running { consumer in
            let handled = Journal<String>()
            let loop = Task { for try await message in consumer { handled.record(message.name) } }
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(acknowledge("1-0", "2-0"))
            await play.clock.calmDown()
            #expect(handled.all.isEmpty)
            server.send(":2\r\n")
            #expect(await handled.wait(for: 2) == ["1-0", "2-0"])
            await server.expect(readNew())
            loop.cancel()
            try await loop.value
        }
    }

    @Test func `On delivery, a message whose acknowledgement may be lost is not handed out`() async throws {
        let play = GroupPlay { $0.acknowledgement = .onDelivery }
        try await play.running { consumer in
            let handled = Journal<String>()
            let loop = Task { for try await message in consumer { handled.record(message.name) } }
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(acknowledge("1-0"))
            server.close()
            let next = try await play.reconnection()
            await next.expect(recoveryPage(), answer: noPending)
            await next.expect(readNew(), answer: batch(entry("2-0")))
            await next.expect(acknowledge("2-0"), answer: ":1\r\n")
            #expect(await handled.wait(for: 1) == ["2-0"])
            loop.cancel()
            try await loop.value
        }
    }

    @Test func `Without acknowledgement, the server keeps nothing pending`() async throws {
        let play = GroupPlay { $0.acknowledgement = .never }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.nextConnection()
            await server.expect(readNew(noAck: true), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew(noAck: true))
            let got = [try await messages.next()?.name, try await messages.next()?.name]
            #expect(got == ["1-0", "2-0"])
            server.send(batch(entry("3-0")))
            await server.expect(readNew(noAck: true))
        }
    }

    @Test func `With manual acknowledgement, only messages that the user acknowledged are acknowledged`() async throws {
        let play = GroupPlay { $0.acknowledgement = .manual }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0"), entry("3-0")))
            await server.expect(readNew())
            var got: [GroupMessage] = []
            for _ in 0..<3 {
                if let message = try await messages.next() { got.append(message) }
            }
            got[2].acknowledge()
            got[0].acknowledge()
            got[0].acknowledge()
            server.send(batch(entry("4-0")))
            await server.expect(acknowledge("3-0", "1-0"), answer: ":2\r\n")
            await server.expect(readNew())
        }
    }

    @Test func `Several messages can be acknowledged with a confirmation of the server`() async throws {
        let play = GroupPlay { $0.acknowledgement = .manual }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew())
            var got: [GroupMessage] = []
            for _ in 0..<2 {
                if let message = try await messages.next() { got.append(message) }
            }
            async let count = consumer.acknowledge(got)
            let shared = play.shared
            await shared.expect(acknowledgeIfOwned("1-0", "2-0"), answer: ":1\r\n")
            let acknowledged = try await count
            #expect(acknowledged == 1)
            let none = try await consumer.acknowledge([])
            #expect(none == 0)
            // The consumer does not acknowledge them a second time.
            for message in got { message.acknowledge() }
            server.send(batch(entry("3-0")))
            await server.expect(readNew())
        }
    }

    @Test func `On delivery, a pending message is handed out once it is acknowledged`() async throws {
        let play = GroupPlay { $0.acknowledgement = .onDelivery }
        try await play.running { consumer in
            let handled = Journal<String>()
            let loop = Task { for try await message in consumer { handled.record(message.name) } }
            let server = await play.nextConnection()
            await server.expect(recoveryPage(), answer: pending("1-0"))
            await server.expect(reclaim("1-0", mode: "counted"), answer: reclaimed([("1-0", 1)]))
            await server.expect(acknowledge("1-0"))
            await play.clock.calmDown()
            #expect(handled.all.isEmpty)
            server.send(":1\r\n")
            #expect(await handled.wait(for: 1) == ["1-0"])
            loop.cancel()
            try await loop.value
        }
    }

    @Test func `A held message is not handed out again, even if the server delivers it again`() async throws {
        let play = GroupPlay { $0.claimInterval = .seconds(1) }
        try await play.running { consumer in
            let handled = Journal<String>()
            let gate = Gate()
            let running = Task {
                try await consumer.run { message in
                    handled.record(message.name)
                    await gate.wait()
                }
            }
            let server = await play.start()
            await server.expect(readNew(block: 1000), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew(block: 1000))
            // A claim brings both messages again: one is being handled, the other waits for a handler.
            await play.idle(forSeconds: 1, thenClaim: ["1-0", "2-0", "3-0"], on: server)
            await play.reclaiming().expect(reclaim("3-0"), answer: reclaimed([("3-0", 1)]))
            gate.open()
            #expect(await handled.wait(for: 3) == ["1-0", "2-0", "3-0"])
            guard case .claimed(let count) = await play.events.wait(for: 1)[0] else { return }
            #expect(count == 1)
            running.cancel()
            play.answerTheRest()
            try await running.value
        }
    }
}
