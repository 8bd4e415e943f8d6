import RedisStreams

/// Readers that each receive every message, a producer, and a network that fails.
///
// SAFETY: there is one thread.
final class FanOutScenario: @unchecked Sendable {
    private static let stream: StreamKey = "orders"

    private let world: World
    private let plan: GroupPlan
    private var confirmed: [StreamID] = []
    private var seen: [[StreamID]]
    private var hasProduced = false

    init(_ world: World, _ plan: GroupPlan) {
        self.world = world
        self.plan = plan
        seen = Array(repeating: [], count: plan.consumers)
    }

    func run() throws -> VirtualTime {
        let faults = plan.faults + [.restart]
        world.plan(faults, count: plan.faultCount, within: plan.duration, lease: .seconds(3))
        for number in 0..<plan.consumers { try startReader(number) }
        try startProducer()
        world.run(for: .seconds(600)) { hasProduced }
        world.run(for: .seconds(1))
        world.calmDown()
        let calm = world.now
        let last = confirmed.last ?? .zero
        world.run(for: .seconds(120)) { seen.allSatisfy { $0.last ?? .zero >= last } }
        let recovery = world.now - calm
        for (number, ids) in seen.enumerated() {
            let missing = Set(confirmed).subtracting(ids).sorted()
            if missing.isEmpty { continue }
            world.checker.violated(.nothingLost, "reader\(number) misses \(missing.prefix(5)) (\(missing.count))")
        }
        for id in confirmed { world.checker.confirmed(id) }
        world.checker.markAllDone()
        return recovery
    }

    private func startReader(_ number: Int) throws {
        try world.start("reader\(number)") { [self] client, node in
            var configuration = StreamConsumer.Configuration()
            configuration.batchSize = plan.configuration.batchSize
            configuration.prefetch = plan.configuration.prefetch
            configuration.block = plan.configuration.block
            configuration.backoff.limit = .seconds(1)
            while !Task.isCancelled {
                let stream = Self.stream
                let consumer = StreamConsumer(client, stream: stream, from: .beginning, configuration: configuration)
                do {
                    for try await message in consumer {
                        received(message.id, reader: number)
                        if plan.sabotage == .restartedReader, world.random.oneIn(20) { break }
                        if world.random.oneIn(10) { try await sleep(.milliseconds(20), on: node.process) }
                    }
                } catch {
                    world.trace.record(node.name, "stops reading: \(error)")
                    guard !seen[number].isEmpty else { continue }
                    throw error
                }
            }
        }
    }

    private func received(_ id: StreamID, reader number: Int) {
        world.trace.record("reader", number, "reader\(number) receives \(id)")
        if let last = seen[number].last, id <= last {
            world.checker.violated(.neverGoesBack, "reader\(number) receives \(id) after \(last)")
        }
        seen[number].append(id)
    }

    private func startProducer() throws {
        try world.start("producer") { [self] client, node in
            let gap = VirtualTime(nanoseconds: plan.duration.nanoseconds / Int64(plan.messages))
            for number in 1...plan.messages {
                try await sleep(world.random.oneIn(2) ? .zero : gap + gap, on: node.process)
                if let id = try? await client.xadd(Self.stream, ["n": "\(number)"]) {
                    confirmed.append(id)
                } else {
                    try await sleep(.milliseconds(50), on: node.process)
                }
            }
            hasProduced = true
        }
    }
}
