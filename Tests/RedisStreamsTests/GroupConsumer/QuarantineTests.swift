import NIOCore
import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite struct QuarantineMachineTests {
    private func candidates(_ names: String..., deliveriesWithoutOutcome: Int = 1) -> [Quarantine.Candidate] {
        names.map { .init(id: id($0), count: DeliveryCount(deliveriesWithoutOutcome)) }
    }

    @Test(arguments: [(1, 1), (2, 1), (4, 2), (16, 8)]) func `Messages with one crash run in up to half of the slots`(
        concurrency: Int,
        slots: Int
    ) {
        var quarantine = Quarantine(concurrency: concurrency)
        let many = (1...20).map { id("\($0)-0") }
        quarantine.add(many.map { .init(id: $0, count: .first) }, now: .at(0))
        let admission = quarantine.admit()
        #expect(admission == .init(ids: Array(many.prefix(slots)), mode: slots == 1 ? .alone : .together))
        let more = quarantine.admit()
        #expect(more == nil, "until one of them has ended")
        quarantine.ended(many[0])
        let next = quarantine.admit()
        #expect(next == .init(ids: [many[slots]], mode: slots == 1 ? .alone : .together))
    }

    @Test func `A message with more crashes runs without another one, those with the fewest crashes first`() {
        var quarantine = Quarantine(concurrency: 16)
        quarantine.add(
            candidates("1-0", deliveriesWithoutOutcome: 4) + candidates("2-0", deliveriesWithoutOutcome: 2),
            now: .at(0)
        )
        quarantine.add(candidates("2-0", "3-0", deliveriesWithoutOutcome: 2) + candidates("4-0"), now: .at(0))
        for name in ["4-0", "2-0", "3-0", "1-0"] {
            let admission = quarantine.admit()
            #expect(admission == .init(ids: [id(name)], mode: .alone))
            let beside = quarantine.admit()
            #expect(beside == nil)
            quarantine.ended(id(name))
        }
        #expect(quarantine.isEmpty)
    }

    @Test func `Messages that run together end before one runs without another one`() {
        var quarantine = Quarantine(concurrency: 4)
        quarantine.add(candidates("1-0", "2-0") + candidates("3-0", deliveriesWithoutOutcome: 3), now: .at(0))
        let company = quarantine.admit()
        #expect(company?.mode == .together)
        quarantine.ended(id("1-0"))
        var next = quarantine.admit()
        #expect(next == nil)
        quarantine.add(candidates("5-0"), now: .at(0))
        next = quarantine.admit()
        #expect(next == .init(ids: ids("5-0"), mode: .together), "the message with the fewest crashes first")
        quarantine.remove(ids("2-0", "5-0"))
        next = quarantine.admit()
        #expect(next == .init(ids: ids("3-0"), mode: .alone))
    }

    @Test func `Messages that wait too long are removed, but not those that are admitted`() {
        var quarantine = Quarantine(concurrency: 1)
        quarantine.add(candidates("1-0", "2-0"), now: .at(0))
        quarantine.add(candidates("3-0"), now: .at(10))
        _ = quarantine.admit()
        #expect(quarantine.removeWaiting(since: .at(5)) == candidates("2-0"))
        #expect(quarantine.removeWaiting(since: .at(5)).isEmpty)
        #expect(!quarantine.isEmpty)
        quarantine.removeAll()
        #expect(quarantine.isEmpty)
    }

    /// If k messages crash processes, no innocent message is dead-lettered if more than k crashes are allowed.
    /// Consumers run one after the other, each until such a message crashes it, and end when all messages are handled
    /// or dead-lettered.
    @Test(arguments: 1...100 as ClosedRange<UInt64>) func `No innocent message becomes a dead letter`(
        seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        var fleet = CrashingFleet(killers: Int.random(in: 1...4, using: &random), &random)
        for _ in 0..<2000 where !fleet.isDone { fleet.step(&random) }
        #expect(fleet.isDone)
        #expect(fleet.innocentDeadLetters == 0)
    }
}

/// One consumer after the other, with the delivery counts that the server would keep.
private struct CrashingFleet {
    private let killers: Set<StreamID>
    private let maxCrashes: Int
    private let concurrency: Int
    /// The delivery counts of all messages that are not handled; zero before the first delivery.
    private var counts: [StreamID: Int] = [:]
    private var quarantine: Quarantine
    private var running: [StreamID: Bool] = [:]
    private(set) var innocentDeadLetters = 0

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
        // New messages have the other handlers.
        let fresh = counts.filter { $0.value == 0 }.keys.sorted()
        for id in fresh.prefix(max(0, concurrency - running.count)) {
            counts[id] = 1
            running[id] = false
        }
        guard let id = running.keys.sorted().randomElement(using: &random) else { return }
        if killers.contains(id) { return crash(&random) }
        finish(id)
    }

    private mutating func begin(_ admission: Quarantine.Admission) {
        for id in admission.ids {
            var count = counts[id] ?? 0
            count += admission.mode == .alone && count == 1 ? 2 : 1
            counts[id] = count
            if DeliveryCount(count).crashes >= maxCrashes {
                if !killers.contains(id) { innocentDeadLetters += 1 }
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

    /// The process crashes, and another one claims its messages.
    private mutating func crash(_ random: inout SeededGenerator) {
        let left = running.keys.shuffled(using: &random)
        running = [:]
        quarantine = Quarantine(concurrency: concurrency)
        let known = counts.filter { $0.value > 0 }
        for id in left + known.keys.sorted() {
            quarantine.add([.init(id: id, count: DeliveryCount(known[id] ?? 0))], now: .at(0))
        }
    }
}

/// Messages that a process may have crashed on are handled in quarantine, while other messages are handled as usual.
@Suite(.limitedTime) struct QuarantineTests {
    @Test func `A hanging handler delays no quarantined message, and a quarantined message no new ones`() async throws {
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
            await server.expect(reclaim("1-0", "2-0"), answer: reclaimed([("2-0", 1001)], quarantined: ["1-0"]))
            await server.expectSnapshot(delivered: "2-0", lowestPending: "1-0")
            await play.reclaiming().expect(reclaim("1-0", mode: "alone"), answer: reclaimed([("1-0", 3)]))
            await server.expect(claim(), answer: claimed())
            await server.expect(readNew(), answer: batch(entry("3-0")))
            #expect(Set(await handled.wait(for: 3)) == ["2-0 pending 0 2", "1-0 pending 1 1", "3-0 new 0 1"])
            for gate in gates.values { gate.open() }
            await play.end(running)
        }
    }

    @Test func `Messages with one crash run together in half of the handlers, the next one after one has ended`()
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
            let all = reclaimed([], quarantined: ["1-0", "2-0", "3-0"])
            await server.expect(reclaim("1-0", "2-0", "3-0"), answer: all)
            await server.expectSnapshot(delivered: "3-0", lowestPending: "1-0")
            let company = reclaimed([("1-0", 2), ("2-0", 2)])
            await play.reclaiming().expect(reclaim("1-0", "2-0", mode: "together"), answer: company)
            #expect(await handled.wait(for: 2).sorted() == ["1-0", "2-0"])
            gates["2-0"]?.open()
            await play.clock.calmDown()
            // Outcomes are coalesced for a moment. Before the server has the outcome, the slot is not free.
            await play.clock.advance(by: .milliseconds(1))
            await play.shared.expect(acknowledge("2-0"), answer: ":1\r\n")
            await play.reclaiming().expect(reclaim("3-0", mode: "together"), answer: reclaimed([("3-0", 2)]))
            #expect(await handled.wait(for: 3).last == "3-0")
            for gate in gates.values { gate.open() }
            await play.end(running)
        }
    }

    @Test func `A message without a slot is returned after a third of the lease, and handled by another consumer`()
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

    /// Runs a consumer that ends like a crashed one, while it handles `count` messages.
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

    @Test func `A quarantined message that another consumer owns is not handled here`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let handled = Journal<String>()
            let running = Task { try await consumer.run { handled.record($0.name) } }
            let server = await play.nextConnection()
            await server.expect(recoveryPage(), answer: pending(("1-0", 1), ("2-0", 1)))
            await server.expect(reclaim("1-0", "2-0"), answer: reclaimed([], quarantined: ["1-0", "2-0"]))
            await server.expectSnapshot(delivered: "2-0", lowestPending: "1-0")
            await play.reclaiming().expect(reclaim("1-0", mode: "alone"), answer: reclaimed([]))
            await play.reclaiming().expect(reclaim("2-0", mode: "alone"), answer: reclaimed([("2-0", 3)]))
            #expect(await handled.wait(for: 1) == ["2-0"])
            await play.end(running)
        }
    }

    @Test func `When another consumer owns a message, it is forgotten that a delivery may be counted`()
        async throws
    {
        let play = GroupPlay { $0.claimInterval = .seconds(1) }
        try await play.running { consumer in
            let crashes = Journal<Int>()
            let running = Task { try await consumer.run { crashes.record($0.crashes) } }
            let first = await play.nextConnection()
            await first.expect(recoveryPage(), answer: pending(("1-0", 1)))
            // The server may have reclaimed it and counted that: the reply is lost.
            await first.expect(reclaim("1-0"))
            first.close()
            await play.reclaiming().expect(reclaim("1-0", mode: "counted"), answer: reclaimed([]))
            try await play.passInterruption()
            // Meanwhile another consumer has claimed it and crashed on it. The connection is free, and used for reads.
            let server = await play.reclaiming()
            await server.expect(recoveryPage(), answer: noPending)
            await server.expectSnapshot()
            await server.expect(claim(), answer: claimed())
            await server.expect(readNew(block: 1000))
            await play.idle(forSeconds: 1, thenClaim: ["1-0"], on: server)
            let next = await play.nextConnection()
            await next.expect(reclaim("1-0"), answer: reclaimed([], quarantined: ["1-0"]))
            await next.expect(reclaim("1-0", mode: "alone"), answer: reclaimed([("1-0", 4)]))
            #expect(await crashes.wait(for: 1) == [2])
            await play.end(running)
        }
    }

    @Test func `With manual acknowledgement, these messages do not wait for a slot`() async throws {
        let play = GroupPlay { $0.acknowledgement = .manual }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.nextConnection()
            await server.expect(recoveryPage(), answer: pending(("1-0", 1)))
            await server.expect(reclaim("1-0"), answer: reclaimed([], quarantined: ["1-0"]))
            await play.reclaiming().expect(reclaim("1-0", mode: "alone"), answer: reclaimed([("1-0", 3)]))
            await server.expectSnapshot()
            let message = try await messages.next()
            #expect(message?.crashes == 1)
        }
    }
}
