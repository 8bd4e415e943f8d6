import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// Leases are renewed every third of their time, here of thirty seconds.
@Suite(.limitedTime) struct LeaseRenewalTests {
    @Test func `Handled and waiting messages are renewed every third of a lease, those with an outcome are not`()
        async throws
    {
        let play = GroupPlay()
        try await play.running { consumer in
            let handled = Journal<String>()
            let gates: [String: Gate] = ["1-0": Gate(), "2-0": Gate(), "3-0": Gate()]
            let running = Task {
                try await consumer.run { message in
                    handled.record(message.name)
                    await gates[message.name]?.wait()
                }
            }
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0"), entry("3-0")))
            await server.expect(readNew())
            _ = await handled.wait(for: 1)
            await play.clock.advance(by: .milliseconds(9999))
            let count = play.log.names.count
            await play.clock.calmDown()
            #expect(play.log.names.count == count)
            await play.clock.advance(by: .milliseconds(1))
            let shared = play.shared
            await shared.expect(renew("1-0", "2-0", "3-0"), answer: renewed())
            await shared.expectSnapshot(delivered: "3-0", lowestPending: "1-0")
            await play.clock.calmDown()
            gates["1-0"]?.open()
            _ = await handled.wait(for: 2)
            await play.clock.advance(by: .milliseconds(1)) {
                await shared.expect(acknowledge("1-0"), answer: ":1\r\n")
            }
            await play.clock.advance(by: .seconds(10))
            await shared.expect(renew("2-0", "3-0"), answer: renewed())
            await shared.expectSnapshot(delivered: "3-0", lowestPending: "2-0")
            await play.clock.calmDown()
            await play.clock.advance(by: .seconds(10))
            await shared.expect(renew("2-0", "3-0"), answer: renewed())
            await shared.expectSnapshot(delivered: "3-0", lowestPending: "2-0")
            // A renewed message is handled long after its first lease would have expired.
            await play.clock.calmDown()
            gates["2-0"]?.open()
            #expect(await handled.wait(for: 3) == ["1-0", "2-0", "3-0"])
            await play.end(running, gates.values)
        }
    }

    @Test(arguments: [false, true]) func `A handler that hangs is reported after the configured time, and so is a loop`(
        isLoop: Bool
    ) async throws {
        let play = GroupPlay { $0.handlerWarning = .seconds(15) }
        try await play.running { consumer in
            let started = Journal<String>()
            let gate = Gate()
            let running = Task {
                if !isLoop {
                    return try await consumer.run { message in
                        started.record(message.name)
                        await gate.wait()
                    }
                }
                for try await message in consumer {
                    started.record(message.name)
                    await gate.wait()
                }
            }
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            _ = await started.wait(for: 1)
            for _ in 0..<7 {
                await play.clock.advance(by: .seconds(10))
                await play.shared.expect(renew("1-0"), answer: renewed())
                await play.shared.expectSnapshot(delivered: "1-0", lowestPending: "1-0")
                await play.clock.calmDown()
            }
            let reported = play.events.all.compactMap { event -> String? in
                if case .handlerRunsLong(let id, let age) = event { "\(id) \(age / .seconds(1))" } else { nil }
            }
            #expect(reported == ["1-0 20.0", "1-0 30.0", "1-0 60.0"])
            let snapshot = consumer.snapshot()
            // The time of a loop's body counts from the first renewal on.
            #expect(snapshot.handling == 1)
            #expect(snapshot.oldestHandling == .seconds(isLoop ? 60 : 70))
            await play.end(running, [gate])
            #expect(consumer.snapshot().handling == 0)
        }
    }

    @Test func `A handler that hangs is reported although another consumer owns its message`() async throws {
        let play = GroupPlay { $0.handlerWarning = .seconds(30) }
        try await play.running { consumer in
            let begun = Journal<String>()
            let gate = Gate()
            let running = Task {
                try await consumer.run { message in
                    begun.record(message.name)
                    await gate.wait()
                }
            }
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            _ = await begun.wait(for: 1)
            await play.clock.advance(by: .seconds(10))
            await play.shared.expect(renew("1-0"), answer: renewed(others: ["1-0"], owners: ["bob"]))
            for _ in 0..<6 {
                await play.clock.advance(by: .seconds(10))
                await play.clock.calmDown()
            }
            let reported = play.events.all.compactMap { event -> StreamID? in
                if case .handlerRunsLong(let id, _) = event { id } else { nil }
            }
            #expect(reported.first == id("1-0"))
            await play.end(running, [gate])
        }
    }

    @Test func `Without renewals, a message that waited for a lease is requeued, and an outcome needs a script`()
        async throws
    {
        let play = GroupPlay { $0.safeguards.remove(.renewal) }
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
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew())
            _ = await handled.wait(for: 1)
            for _ in 0..<3 {
                await play.clock.advance(by: .seconds(10))
                await shared.expectSnapshot(delivered: "2-0", lowestPending: "1-0")
            }
            gate.open()
            await play.clock.advance(by: .milliseconds(1)) {
                await shared.expect(acknowledgeIfOwned("1-0"), answer: ":0\r\n")
            }
            #expect(handled.all == ["1-0"])
            #expect(consumer.counters.acknowledged == 0)
            await play.end(running)
        }
    }

    @Test func `A fresh lease is not renewed before the next round`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew())
            await play.clock.advance(by: .seconds(6))
            server.send(batch(entry("1-0")))
            await server.expect(readNew())
            await play.clock.advance(by: .seconds(3))
            server.send(batch(entry("2-0")))
            await server.expect(readNew())
            await play.clock.advance(by: .seconds(1))
            // A lease starts when its read was sent: the first at the start, the second at six seconds.
            await shared.expect(renew("1-0"), answer: renewed())
            await shared.expectSnapshot()
            await play.clock.calmDown()
            await play.clock.advance(by: .seconds(10))
            await shared.expect(renew("1-0", "2-0"), answer: renewed())
            _ = messages
        }
    }

    @Test func `A consumer that claims messages before their renewed leases expire is reported by name`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0"), entry("3-0")))
            await server.expect(readNew())
            await play.clock.advance(by: .seconds(10))
            // The third is not pending any more: it was acknowledged manually, for example.
            let answer = renewed(others: ["1-0", "2-0", "3-0"], owners: ["bob", "bob", ""])
            await shared.expect(renew("1-0", "2-0", "3-0"), answer: answer)
            await play.clock.calmDown()
            let early = play.events.all.compactMap { event -> String? in
                if case .claimedEarly(let ids, let owner) = event { "\(owner) \(ids)" } else { nil }
            }
            #expect(early == ["bob \([StreamID(milliseconds: 1), StreamID(milliseconds: 2)])"])
            #expect(consumer.counters.leasesLost == 3)
            _ = messages
        }
    }

    @Test func `Another consumer may own a message whose lease has expired`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            await play.clock.advance(by: .seconds(10))
            await shared.expect(renew("1-0"))
            await play.clock.advance(by: .seconds(20))
            shared.send(renewed(others: ["1-0"], owners: ["bob"]))
            await play.clock.calmDown()
            let isTold = play.events.all.contains { event in
                if case .claimedEarly = event { true } else { false }
            }
            #expect(!isTold)
            _ = messages
        }
    }

    @Test func `Long leases are renewed every five seconds`() async throws {
        let play = GroupPlay {
            $0.renewalInterval = .seconds(5)
            $0.claimIdleTime = .seconds(3600)
        }
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start(idle: 3_600_000)
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            for _ in 0..<2 {
                await play.clock.advance(by: .seconds(5))
                await play.shared.expect(renew("1-0"), answer: renewed())
                await play.shared.expectSnapshot()
                await play.clock.calmDown()
            }
            _ = messages
        }
    }

    @Test(arguments: [1, 2]) func `A lost lease cancels its handler only, and another worker goes on`(
        concurrency: Int
    ) async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let handled = Journal<String>()
            let gate = Gate()
            let running = Task {
                try await consumer.run(concurrency: concurrency) { message, context in
                    handled.record("\(message.name) begins")
                    guard message.name == "1-0" else { return await gate.wait() }
                    await untilCancelled()
                    handled.record("1-0 lost: \(context.leaseLost), held: \(message.isHeld)")
                }
            }
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew())
            _ = await handled.wait(for: concurrency)
            await play.clock.advance(by: .seconds(10))
            await shared.expect(renew("1-0", "2-0"), answer: renewed(others: ["1-0"]))
            await shared.expectSnapshot(delivered: "2-0", lowestPending: "1-0")
            let journal = await handled.wait(for: 3)
            #expect(journal.contains("1-0 lost: true, held: false"))
            #expect(journal.contains("2-0 begins"))
            guard case .leaseLost(let lost) = await play.events.wait(for: 1)[0] else { return }
            #expect(lost == ids("1-0"))
            #expect(consumer.counters.leasesLost == 1)
            gate.open()
            // The first message has no outcome.
            await play.clock.advance(by: .milliseconds(1)) {
                await shared.expect(acknowledge("2-0"), answer: ":1\r\n")
            }
            // There are as many workers as before.
            server.send(batch(entry("3-0"), entry("4-0")))
            _ = await handled.wait(for: 5)
            await play.end(running)
        }
    }

    @Test func `A handler that throws because its lease was lost has not failed`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let handled = Journal<String>()
            let running = Task {
                try await consumer.run { message in
                    handled.record(message.name)
                    guard message.name == "1-0" else { return }
                    await untilCancelled()
                    try Task.checkCancellation()
                }
            }
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew())
            // A message that is lost before its handler begins is not handled.
            _ = await handled.wait(for: 1)
            await play.clock.advance(by: .seconds(10))
            await shared.expect(renew("1-0", "2-0"), answer: renewed(others: ["1-0"]))
            await shared.expectSnapshot()
            _ = await handled.wait(for: 2)
            await play.clock.advance(by: .milliseconds(1)) {
                await shared.expect(acknowledge("2-0"), answer: ":1\r\n")
            }
            #expect(consumer.counters.failures == 0)
            await play.end(running)
        }
    }

    @Test func `Messages that cannot be renewed for as long as a lease count as lost`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let begun = Journal<String>()
            let handled = Journal<String>()
            let running = Task {
                try await consumer.run { message, context in
                    begun.record(message.name)
                    await untilCancelled()
                    handled.record("\(message.name) \(context.leaseLost)")
                }
            }
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            _ = await begun.wait(for: 1)
            for _ in 0..<2 {
                await play.clock.advance(by: .seconds(10))
                await shared.expect(renew("1-0"), answer: "-LOADING Redis is loading\r\n")
                await shared.expectSnapshot()
            }
            #expect(handled.all.isEmpty)
            await play.clock.calmDown()
            await play.clock.advance(by: .milliseconds(9999))
            await play.clock.calmDown()
            #expect(handled.all.isEmpty)
            await play.clock.advance(by: .milliseconds(1))
            #expect(await handled.wait(for: 1) == ["1-0 true"])
            guard case .leaseLost(let lost) = await play.events.wait(for: 1)[0] else { return }
            #expect(lost == ids("1-0"))
            await play.end(running)
        }
    }

    @Test func `A renewal that is refused for good ends the consumer`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let gate = Gate()
            let begun = Journal<String>()
            let running = Task {
                await caught {
                    try await consumer.run { message in
                        begun.record(message.name)
                        await gate.wait()
                    }
                }
            }
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            _ = await begun.wait(for: 1)
            await play.clock.advance(by: .seconds(10))
            await shared.expect(renew("1-0"), answer: "-NOPERM this user has no permissions to run 'evalsha'\r\n")
            await play.clock.calmDown()
            // The outcome of a running handler still counts.
            gate.open()
            play.answerTheRest()
            let error = await play.clock.advance(by: .milliseconds(100)) { await running.value }
            #expect(error?.code == .permissionDenied)
        }
    }

    @Test func `An entry that is deleted while it is handled is reported, and not renewed or acknowledged`()
        async throws
    {
        let play = GroupPlay()
        try await play.running { consumer in
            let gate = Gate()
            let begun = Journal<String>()
            let handled = Journal<Bool>()
            let running = Task {
                try await consumer.run { message in
                    begun.record(message.name)
                    await gate.wait()
                    handled.record(Task.isCancelled)
                }
            }
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            _ = await begun.wait(for: 1)
            await play.clock.advance(by: .seconds(10))
            await shared.expect(renew("1-0"), answer: renewed(deleted: ["1-0"]))
            await shared.expectSnapshot()
            guard case .deleted(let gone) = await play.events.wait(for: 1)[0] else { return }
            #expect(gone == ids("1-0"))
            gate.open()
            #expect(await handled.wait(for: 1) == [false])
            await play.clock.advance(by: .seconds(9))
            await play.clock.calmDown()
            #expect(!play.log.names.contains("XACK"))
            await play.end(running)
        }
    }
}

extension GroupPlay {
    /// Cancels a consumer, opens the gates of its handlers, answers the remaining commands, and waits for its end.
    func end(_ running: Task<Void, any Error>, _ gates: some Sequence<Gate> = []) async {
        running.cancel()
        for gate in gates { gate.open() }
        answerTheRest()
        _ = await clock.advance(by: .milliseconds(100)) { await running.result }
    }
}
