import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// Messages that somebody may have died of are handled alone.
@Suite(.timeLimit(.minutes(1))) struct SuspectTests {
    @Test func `A suspect is taken when nothing else is held, and nothing is read until it is done with`() async throws
    {
        let play = GroupPlay()
        try await play.running { consumer in
            let handled = Journal<String>()
            let gates: [String: Gate] = ["1-0": Gate(), "2-0": Gate()]
            let running = Task {
                try await consumer.run(concurrency: 3) { message in
                    handled.record("\(message.name) \(message.source) \(message.crashes) \(message.attempt)")
                    await gates[message.name]?.wait()
                }
            }
            let server = await play.nextConnection()
            await server.expect(sweep(), answer: pending(("1-0", 1), ("2-0", 1000)))
            await server.expect(take("1-0", "2-0"), answer: taken([("2-0", 1001)], suspects: ["1-0"]))
            await server.expectLook(delivered: "2-0", lowestPending: "1-0")
            _ = await handled.wait(for: 1)
            await play.clock.calmDown()
            let count = play.log.names.count
            #expect(handled.all == ["2-0 pending 0 2"])
            gates["2-0"]?.open()
            await server.expect(take("1-0", mode: "suspects"), answer: taken([("1-0", 2)]))
            _ = await handled.wait(for: 2)
            #expect(handled.all.last == "1-0 pending 1 1")
            await play.clock.calmDown()
            #expect(play.log.names.count == count + 1, "nothing is read")
            gates["1-0"]?.open()
            await server.expect(claim(), answer: claimed())
            await server.expect(acknowledge("2-0", "1-0"), answer: ":2\r\n")
            await server.expect(readNew(), answer: batch(entry("3-0")))
            #expect(await handled.wait(for: 3).last == "3-0 new 0 1")
            await play.end(running)
        }
    }

    @Test func `What many may have died of is handled together, and nothing else with it`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let handled = Journal<String>()
            let gate = Gate()
            let running = Task {
                try await consumer.run(concurrency: 20) { message in
                    handled.record(message.name)
                    await gate.wait()
                }
            }
            let server = await play.nextConnection()
            let names = (1...11).map { "\($0)-0" }
            await server.expect(sweep(), answer: pending(("1-0", 1), ("2-0", 1)))
            await server.expect(take("1-0", "2-0"), answer: taken([], suspects: names))
            await server.expectLook(delivered: "11-0", lowestPending: "1-0")
            await server.expect(call(.take, ["suspects"] + names), answer: taken(names.map { ($0, 2) }))
            #expect(await handled.wait(for: 11).sorted() == names.sorted())
            await play.clock.calmDown()
            #expect(play.log.names.last == "EVALSHA", "nothing is read")
            gate.open()
            await server.expect(claim(), answer: claimed())
            await play.end(running)
        }
    }

    @Test func `While a suspect is handled, nothing is handled again that has failed`() async throws {
        let play = GroupPlay {
            $0.claimInterval = .seconds(1)
            $0.retry = .fixed(.seconds(2))
        }
        try await play.running { consumer in
            let handled = Journal<String>()
            let gates: [String: Gate] = ["1-0": Gate(), "5-0": Gate()]
            let running = Task {
                try await consumer.run(concurrency: 3) { message in
                    await gates[message.name]?.wait()
                    handled.record("\(message.name) \(message.source)")
                    if message.source == .new { throw Failed() }
                }
            }
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(block: 1000), answer: batch(entry("5-0")))
            await server.expect(readNew(block: 1000))
            gates["5-0"]?.open()
            _ = await play.events.wait(for: 1)
            await play.clock.advance(by: .milliseconds(1))
            await shared.expect(setAside("5-0", idle: 28_001, count: 1000), answer: "*0\r\n")
            await play.clock.calmDown()
            await play.clock.advance(by: .milliseconds(999))
            server.send(nothing)
            await server.expect(claim(), answer: claimed(["1-0"]))
            await server.expect(readNew(block: 1000))
            await shared.expect(take("1-0"), answer: taken([], suspects: ["1-0"]))
            await play.clock.calmDown()
            server.send(nothing)
            await server.expect(take("1-0", mode: "suspects"), answer: taken([("1-0", 2)]))
            await play.clock.calmDown()
            let count = play.log.names.count
            await play.clock.advance(by: .seconds(2))
            await play.clock.calmDown()
            #expect(play.log.names.count == count, "what is due has to wait")
            gates["1-0"]?.open()
            await server.expect(claim(), answer: claimed())
            await server.expect(acknowledge("1-0"), answer: ":1\r\n")
            await shared.expect(take("5-0"), answer: taken([("5-0", 1001)]))
            #expect(await handled.wait(for: 3) == ["5-0 new", "1-0 claimed", "5-0 retried"])
            await play.end(running)
        }
    }

    @Test func `A suspect that is others' by now is left to them`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let handled = Journal<String>()
            let gate = Gate()
            let running = Task {
                try await consumer.run { message in
                    handled.record(message.name)
                    await gate.wait()
                }
            }
            let shared = play.shared
            let server = await play.nextConnection()
            await server.expect(sweep(), answer: pending(("1-0", 1), ("2-0", 1000)))
            await server.expect(take("1-0", "2-0"), answer: taken([("2-0", 1001)], suspects: ["1-0"]))
            await server.expectLook(delivered: "2-0", lowestPending: "1-0")
            _ = await handled.wait(for: 1)
            // It waits for its turn, and is renewed meanwhile.
            await play.clock.advance(by: .seconds(10))
            await shared.expect(renew("1-0", "2-0"), answer: renewed(others: ["1-0"]))
            await shared.expectLook()
            await play.clock.calmDown()
            gate.open()
            // It was next, and is not there any more.
            await server.expect(take("1-0", mode: "suspects"), answer: taken([]))
            await server.expect(claim(), answer: claimed())
            await server.expect(acknowledge("2-0"), answer: ":1\r\n")
            await server.expect(readNew())
            #expect(handled.all == ["2-0"])
            await play.end(running)
        }
    }

    @Test func `That a delivery may be counted already is forgotten once the message is others'`() async throws {
        let play = GroupPlay { $0.claimInterval = .seconds(1) }
        try await play.running { consumer in
            let crashes = Journal<Int>()
            let running = Task { try await consumer.run { crashes.record($0.crashes) } }
            let first = await play.nextConnection()
            await first.expect(sweep(), answer: pending(("1-0", 1)))
            // Whether it was taken, and counted, is not known.
            await first.expect(take("1-0"))
            first.close()
            try await play.passInterruption()
            // Meanwhile somebody else has claimed it, and died of it.
            let server = await play.start()
            await server.expect(readNew(block: 1000))
            await play.idle(forSeconds: 1, thenClaim: ["1-0"], on: server)
            await play.shared.expect(take("1-0"), answer: taken([], suspects: ["1-0"]))
            server.send(nothing)
            await server.expect(take("1-0", mode: "suspects"), answer: taken([("1-0", 3)]))
            #expect(await crashes.wait(for: 1) == [2])
            await play.end(running)
        }
    }

    @Test func `By hand, suspects are taken at once: what is done with is another's business`() async throws {
        let play = GroupPlay { $0.acknowledgement = .manual }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.nextConnection()
            await server.expect(sweep(), answer: pending(("1-0", 1)))
            await server.expect(take("1-0"), answer: taken([], suspects: ["1-0"]))
            await play.shared.expect(take("1-0", mode: "suspects"), answer: taken([("1-0", 2)]))
            await server.expectLook()
            let message = try await messages.next()
            #expect(message?.crashes == 1)
        }
    }
}
