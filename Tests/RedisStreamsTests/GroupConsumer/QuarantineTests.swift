import NIOCore
import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite struct QuarantineMachineTests {
    private func candidates(_ names: String..., unsettledDeliveries: Int = 1) -> [Quarantine.Candidate] {
        names.map { .init(id: id($0), count: DeliveryCount(unsettledDeliveries)) }
    }

    @Test(arguments: [(1, 1), (2, 1), (4, 2), (16, 8)]) func `Messages with one crash run in up to half of the slots`(
        concurrency: Int,
        slots: Int
    ) {
        var quarantine = Quarantine(concurrency: concurrency)
        let many = (1...20).map { id("\($0)-0") }
        quarantine.add(many.map { .init(id: $0, count: .first) }, now: .at(0))
        let admission = quarantine.admit()
        #expect(admission == .init(ids: Array(many.prefix(slots)), mode: slots == 1 ? .exclusive : .company))
        let more = quarantine.admit()
        #expect(more == nil, "until one of them has ended")
        quarantine.ended(many[0])
        let next = quarantine.admit()
        #expect(next == .init(ids: [many[slots]], mode: slots == 1 ? .exclusive : .company))
    }

    @Test func `What had more crashes runs beside no other, the fewest crashes first`() {
        var quarantine = Quarantine(concurrency: 16)
        quarantine.add(candidates("1-0", unsettledDeliveries: 4) + candidates("2-0", unsettledDeliveries: 2), now: .at(0))
        quarantine.add(candidates("2-0", "3-0", unsettledDeliveries: 2) + candidates("4-0"), now: .at(0))
        for name in ["4-0", "2-0", "3-0", "1-0"] {
            let admission = quarantine.admit()
            #expect(admission == .init(ids: [id(name)], mode: .exclusive))
            let beside = quarantine.admit()
            #expect(beside == nil)
            quarantine.ended(id(name))
        }
        #expect(quarantine.isEmpty)
    }

    @Test func `Company that is at work is waited for before something runs beside no other`() {
        var quarantine = Quarantine(concurrency: 4)
        quarantine.add(candidates("1-0", "2-0") + candidates("3-0", unsettledDeliveries: 3), now: .at(0))
        let company = quarantine.admit()
        #expect(company?.mode == .company)
        quarantine.ended(id("1-0"))
        var next = quarantine.admit()
        #expect(next == nil)
        quarantine.add(candidates("5-0"), now: .at(0))
        next = quarantine.admit()
        #expect(next == .init(ids: ids("5-0"), mode: .company), "the innocent first")
        quarantine.remove(ids("2-0", "5-0"))
        next = quarantine.admit()
        #expect(next == .init(ids: ids("3-0"), mode: .exclusive))
    }

    @Test func `What waits for too long is taken out, and what is admitted is not`() {
        var quarantine = Quarantine(concurrency: 1)
        quarantine.add(candidates("1-0", "2-0"), now: .at(0))
        quarantine.add(candidates("3-0"), now: .at(10))
        _ = quarantine.admit()
        #expect(quarantine.removeWaiting(since: .at(5)) == candidates("2-0"))
        #expect(quarantine.removeWaiting(since: .at(5)).isEmpty)
        let rest = quarantine.removeAll()
        #expect(rest.sorted() == ids("1-0", "3-0"))
    }

    /// With k killers, an innocent message is not given up if more than k crashes are allowed: a random fleet of consumers,
    /// each of which dies whenever a killer is at work, until all that is left is given up or handled.
    @Test(arguments: 1...100 as ClosedRange<UInt64>) func `No killer makes an innocent message be given up`(
        seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        var fleet = CrashingFleet(killers: Int.random(in: 1...4, using: &random), &random)
        for _ in 0..<2000 where !fleet.isDone { fleet.step(&random) }
        #expect(fleet.isDone)
        #expect(fleet.innocentGivenUp == 0)
    }
}

/// One consumer after the other, with the counts that the server would have.
private struct CrashingFleet {
    private let killers: Set<StreamID>
    private let maxCrashes: Int
    private let concurrency: Int
    /// What is pending, by its count on the server; zero before its first delivery.
    private var counts: [StreamID: Int] = [:]
    private var quarantine: Quarantine
    private var running: [StreamID: Bool] = [:]
    private(set) var innocentGivenUp = 0

    init(killers count: Int, _ random: inout SeededGenerator) {
        let all = (1...30).map { StreamID(milliseconds: $0) }
        killers = Set(all.shuffled(using: &random).prefix(count))
        maxCrashes = max(2, count + 1)
        concurrency = [1, 2, 5, 16].randomElement(using: &random) ?? 1
        for id in all { counts[id] = 0 }
        quarantine = Quarantine(concurrency: concurrency)
    }

    var isDone: Bool { counts.isEmpty }

    mutating func step(_ random: inout SeededGenerator) {
        while let admission = quarantine.admit() { begin(admission) }
        // Fresh messages have the other slots.
        let fresh = counts.filter { $0.value == 0 }.keys.sorted()
        for id in fresh.prefix(max(0, concurrency - running.count)) {
            counts[id] = 1
            running[id] = false
        }
        guard let id = running.keys.sorted().randomElement(using: &random) else { return }
        if killers.contains(id) { return die(&random) }
        finish(id)
    }

    private mutating func begin(_ admission: Quarantine.Admission) {
        for id in admission.ids {
            var count = counts[id] ?? 0
            count += admission.mode == .exclusive && count == 1 ? 2 : 1
            counts[id] = count
            if DeliveryCount(count).crashes >= maxCrashes {
                if !killers.contains(id) { innocentGivenUp += 1 }
                finish(id)
            } else {
                running[id] = true
            }
        }
    }

    private mutating func finish(_ id: StreamID) {
        counts[id] = nil
        running[id] = nil
        quarantine.ended(id)
    }

    /// The process crashes, and another one claims what it leaves, in pieces.
    private mutating func die(_ random: inout SeededGenerator) {
        let left = running.keys.shuffled(using: &random)
        running = [:]
        quarantine = Quarantine(concurrency: concurrency)
        let known = counts.filter { $0.value > 0 }
        for id in left + known.keys.sorted() {
            quarantine.add([.init(id: id, count: DeliveryCount(known[id] ?? 0))], now: .at(0))
        }
    }
}

/// Messages that a process may have crashed on are handled beside the others, and apart from each other.
@Suite(.limitedTime) struct QuarantineTests {
    @Test func `A handler that hangs keeps no quarantined message waiting, nor that one new messages`() async throws {
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
            await server.expect(recoveryPage(), answer: pending(("1-0", 1), ("2-0", 1000)))
            await server.expect(take("1-0", "2-0"), answer: taken([("2-0", 1001)], suspects: ["1-0"]))
            await server.expectLook(delivered: "2-0", lowestPending: "1-0")
            await play.reclaiming().expect(take("1-0", mode: "exclusive"), answer: taken([("1-0", 3)]))
            await server.expect(claim(), answer: claimed())
            await server.expect(readNew(), answer: batch(entry("3-0")))
            #expect(Set(await handled.wait(for: 3)) == ["2-0 pending 0 2", "1-0 pending 1 1", "3-0 new 0 1"])
            for gate in gates.values { gate.open() }
            await play.end(running)
        }
    }

    @Test func `Several with one crash run together in half of the slots, and the next one when one has ended`()
        async throws
    {
        let play = GroupPlay()
        try await play.running { consumer in
            let handled = Journal<String>()
            let gates: [String: Gate] = ["1-0": Gate(), "2-0": Gate(), "3-0": Gate()]
            let running = Task {
                try await consumer.run(concurrency: 4) { message in
                    handled.record(message.name)
                    await gates[message.name]?.wait()
                }
            }
            let server = await play.nextConnection()
            await server.expect(recoveryPage(), answer: pending(("1-0", 1), ("2-0", 1), ("3-0", 1)))
            await server.expect(take("1-0", "2-0", "3-0"), answer: taken([], suspects: ["1-0", "2-0", "3-0"]))
            await server.expectLook(delivered: "3-0", lowestPending: "1-0")
            let company = taken([("1-0", 2), ("2-0", 2)])
            await play.reclaiming().expect(take("1-0", "2-0", mode: "company"), answer: company)
            #expect(await handled.wait(for: 2).sorted() == ["1-0", "2-0"])
            gates["2-0"]?.open()
            await play.clock.calmDown()
            // What is to be acknowledged is gathered for a while. Before the server has it, no other takes its place.
            await play.clock.advance(by: .milliseconds(1))
            await play.shared.expect(acknowledge("2-0"), answer: ":1\r\n")
            await play.reclaiming().expect(take("3-0", mode: "company"), answer: taken([("3-0", 2)]))
            #expect(await handled.wait(for: 3).last == "3-0")
            for gate in gates.values { gate.open() }
            await play.end(running)
        }
    }

    @Test func `One for which there is no slot is given back after a third of the lease, and handled by another`()
        async throws
    {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            for number in 1...2 { try await redis.xadd("orders", ["n": .integer(number)]) }
            try await crash(holding: 2, redis)
            await server.clock.advance(by: .seconds(30))
            let handled = Journal<String>()
            let gate = Gate()
            func start(_ name: String) -> Task<Void, any Error> {
                let consumer = GroupConsumer(redis, stream: "orders", group: "billing", consumer: name)
                return Task {
                    try await consumer.run { message in
                        handled.record("\(name) \(message["n"] ?? "") \(message.crashes)")
                        if name == "hung" { await gate.wait() }
                    }
                }
            }
            let hung = start("hung")
            _ = await handled.wait(for: 1)
            let free = start("free")
            for _ in 0..<60 where handled.all.count < 2 {
                await server.clock.advance(by: .seconds(1))
                await server.clock.calmDown()
            }
            #expect(handled.all == ["hung 1 1", "free 2 1"])
            gate.open()
            for task in [hung, free] {
                task.cancel()
                try await task.value
            }
        }
    }

    /// A consumer that ends without a word, with so many messages in hand.
    private func crash(holding count: Int, _ redis: RedisClient) async throws {
        var configuration = GroupConsumer.Configuration()
        configuration.safeguards.remove(.handOver)
        let consumer = GroupConsumer(
            redis,
            stream: "orders",
            group: "billing",
            consumer: "crashed",
            configuration: configuration
        )
        let begun = Journal<StreamID>()
        let running = Task {
            try await consumer.run(concurrency: count) { message in
                begun.record(message.id)
                await untilCancelled()
                try Task.checkCancellation()
            }
        }
        _ = await begun.wait(for: count)
        running.cancel()
        try await running.value
    }

    @Test func `One that another consumer owns by now is left to it`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let handled = Journal<String>()
            let running = Task { try await consumer.run { handled.record($0.name) } }
            let server = await play.nextConnection()
            await server.expect(recoveryPage(), answer: pending(("1-0", 1), ("2-0", 1)))
            await server.expect(take("1-0", "2-0"), answer: taken([], suspects: ["1-0", "2-0"]))
            await server.expectLook(delivered: "2-0", lowestPending: "1-0")
            await play.reclaiming().expect(take("1-0", mode: "exclusive"), answer: taken([]))
            await play.reclaiming().expect(take("2-0", mode: "exclusive"), answer: taken([("2-0", 3)]))
            #expect(await handled.wait(for: 1) == ["2-0"])
            await play.end(running)
        }
    }

    @Test func `That a delivery may be counted already is forgotten once another consumer owns the message`()
        async throws
    {
        let play = GroupPlay { $0.claimInterval = .seconds(1) }
        try await play.running { consumer in
            let crashes = Journal<Int>()
            let running = Task { try await consumer.run { crashes.record($0.crashes) } }
            let first = await play.nextConnection()
            await first.expect(recoveryPage(), answer: pending(("1-0", 1)))
            // Whether it was taken, and counted, is not known.
            await first.expect(take("1-0"))
            first.close()
            await play.reclaiming().expect(take("1-0", mode: "known"), answer: taken([]))
            try await play.passInterruption()
            // Meanwhile somebody else has claimed it, and died of it. The connection is free, and is read on.
            let server = await play.reclaiming()
            await server.expect(recoveryPage(), answer: noPending)
            await server.expectLook()
            await server.expect(claim(), answer: claimed())
            await server.expect(readNew(block: 1000))
            await play.idle(forSeconds: 1, thenClaim: ["1-0"], on: server)
            let next = await play.nextConnection()
            await next.expect(take("1-0"), answer: taken([], suspects: ["1-0"]))
            await next.expect(take("1-0", mode: "exclusive"), answer: taken([("1-0", 4)]))
            #expect(await crashes.wait(for: 1) == [2])
            await play.end(running)
        }
    }

    @Test func `By hand, they are reclaimed at once: when they are settled is another's business`() async throws {
        let play = GroupPlay { $0.acknowledgement = .manual }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.nextConnection()
            await server.expect(recoveryPage(), answer: pending(("1-0", 1)))
            await server.expect(take("1-0"), answer: taken([], suspects: ["1-0"]))
            await play.reclaiming().expect(take("1-0", mode: "exclusive"), answer: taken([("1-0", 3)]))
            await server.expectLook()
            let message = try await messages.next()
            #expect(message?.crashes == 1)
        }
    }
}
