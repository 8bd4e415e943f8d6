import RedisStreams
import Synchronization
import Testing

/// Messages on several streams of a cluster: producers that count what is confirmed, group consumers and fan-out consumers
/// that count what arrives.
final class ClusterLoad: Sendable {
    let streams: [StreamKey]
    private let redis: RedisClient
    private let confirmed: [Recorder<Int>]
    private let handled: [Recorder<Int>]
    private let read: [NumberSet]
    private let isPaused = Mutex(false)

    init(_ redis: RedisClient) {
        self.redis = redis
        let name = StreamKey.unique()
        streams = (0..<4).map { StreamKey("\(name)-\($0)") }
        confirmed = streams.map { _ in Recorder() }
        handled = streams.map { _ in Recorder() }
        read = streams.map { _ in NumberSet() }
    }

    /// Runs producers and consumers beside `body`. Then ends the producers, and lets the consumers handle what is left.
    func running(_ body: () async throws -> Void) async throws {
        let producers = streams.indices.map { index in
            Task { index == 0 ? await self.produceInOrder() : await self.produce(index) }
        }
        let consumers = streams.indices.map { index in Task { try await self.consume(index) } }
        let readers = streams.indices.map { index in Task { try await self.follow(index) } }
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        resume()
        for producer in producers { producer.cancel() }
        for producer in producers { await producer.value }
        if case .success = result {
            try? await eventually("all that was confirmed is handled", within: .seconds(40)) {
                lost.isEmpty && unread.isEmpty
            }
        }
        for task in consumers + readers { task.cancel() }
        for consumer in consumers { try await consumer.value }
        try result.get()
    }

    // MARK: The work

    private func produce(_ index: Int) async {
        var number = 0
        while !Task.isCancelled {
            number += 1
            await waitWhilePaused()
            if (try? await redis.xadd(streams[index], ["n": .integer(number)])) != nil { confirmed[index].add(number) }
            try? await Task.sleep(for: .milliseconds(2))
        }
    }

    /// By a `StreamProducer`, with many messages on their way.
    private func produceInOrder() async {
        guard let producer = try? StreamProducer(redis, stream: streams[0]) else { return }
        await withDiscardingTaskGroup { group in
            var number = 0
            while !Task.isCancelled {
                await waitWhilePaused()
                for _ in 0..<64 {
                    number += 1
                    guard let receipt = try? await producer.submit(["n": .integer(number)]) else { continue }
                    group.addTask { [number] in
                        if (try? await receipt.id()) != nil { self.confirmed[0].add(number) }
                    }
                }
                try? await Task.sleep(for: .milliseconds(20))
            }
        }
        try? await producer.finish()
    }

    private func consume(_ index: Int) async throws {
        let consumer = GroupConsumer(redis, stream: streams[index], group: "g")
        try await consumer.run { self.handled[index].add($0.number) }
    }

    private func follow(_ index: Int) async throws {
        let consumer = StreamConsumer(redis, streams: [streams[index]: .beginning])
        for try await message in consumer { read[index].insert(message["n"].flatMap { Int($0) } ?? -1) }
    }

    // MARK: Pausing

    /// Lets the producers add nothing more, until `resume`.
    func pause() { isPaused.withLock { $0 = true } }

    func resume() { isPaused.withLock { $0 = false } }

    private func waitWhilePaused() async {
        while isPaused.withLock({ $0 }), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
    }

    /// Waits until the producer of a stream has added more.
    func goesOn(_ index: Int) async throws {
        let before = confirmed[index].count
        try await eventually("more is added to stream \(index)") { confirmed[index].count >= before + 3 }
    }

    // MARK: What came of it

    var confirmedCount: Int { confirmed.map(\.count).reduce(0, +) }

    /// How many messages of a stream were handled, those that were handled twice counted twice.
    func handledCount(_ index: Int) -> Int { handled[index].count }

    var duplicates: Int { handled.map { $0.count - Set($0.all).count }.reduce(0, +) }

    /// What was confirmed, and no group consumer has handled.
    var lost: [String] {
        streams.indices.flatMap { index in
            Set(confirmed[index].all).subtracting(handled[index].all).sorted().map { "\(index): \($0)" }
        }
    }

    /// What was confirmed, and no fan-out consumer has read.
    var unread: [String] {
        streams.indices.flatMap { index in
            confirmed[index].all.filter { !read[index].holdsAll([$0]) }.map { "\(index): \($0)" }
        }
    }

    /// The messages of the first stream that are behind a later one of the same producer.
    func disorder() async throws -> [Int] {
        var last = 0
        var out: [Int] = []
        var start = RangeBound.unbounded
        while true {
            let page = try await redis.xrange(streams[0], from: start, count: 1000)
            guard let end = page.last?.id else { return out }
            for message in page {
                let number = message["n"].flatMap { Int($0) } ?? 0
                if number < last { out.append(number) }
                last = max(last, number)
            }
            start = .excluding(end)
        }
    }
}

/// What happens to a cluster under load, one fault after the other, and how long recovery took.
struct ClusterStory {
    private let cluster: RealCluster
    private let load: ClusterLoad
    private var recoveries: [(fault: String, time: Duration)] = []

    init(_ cluster: RealCluster, _ load: ClusterLoad) {
        self.cluster = cluster
        self.load = load
    }

    var slowest: Duration { recoveries.map(\.time).max() ?? .zero }

    /// Moves the slot of a stream, in steps; on Valkey, every other time at once.
    mutating func moveSlot(_ number: Int) async throws {
        let index = number % load.streams.count
        let slot = load.streams[index].slot
        let source = try await cluster.owner(of: slot)
        let half = cluster.nodes.count / 2
        var targets: [RealCluster.Node] = []
        for node in cluster.nodes where node.index % half != source.index % half {
            if await node.text("ROLE").contains("master") { targets.append(node) }
        }
        let target = try #require(targets.randomElement())
        if cluster.binary.name.hasPrefix("valkey"), number % 2 == 1 {
            try await cluster.moveAtomically(slot, from: source, to: target)
        } else {
            // The producer meets the stream in each phase.
            try await cluster.beginMoving(slot, from: source, to: target)
            try await load.goesOn(index)
            try await cluster.moveKeys(of: slot, from: source, to: target)
            try await load.goesOn(index)
            try await cluster.finishMoving(slot, from: source, to: target)
        }
        try await recovers(index, from: "slot move")
    }

    /// Makes the replica of a stream's master the master.
    mutating func failOver(_ number: Int) async throws {
        let index = number % load.streams.count
        let (_, replica) = try await cluster.pair(of: load.streams[index].slot)
        try await cluster.failOver(to: replica)
        try await recovers(index, from: "planned failover")
        try await cluster.waitUntilItWorks()
    }

    /// Kills the master of a stream, once its replica has everything.
    mutating func kill(_ number: Int) async throws {
        let index = number % load.streams.count
        let slot = load.streams[index].slot
        let (master, replica) = try await cluster.pair(of: slot)
        load.pause()
        try await eventually("everything is replicated") { await master.isReplicated }
        try await cluster.kill(master)
        try await eventually("the replica is the master") {
            let info = await replica.text("CLUSTER", "INFO")
            let role = await replica.text("ROLE")
            return info.contains("cluster_state:ok") && role.contains("master")
        }
        load.resume()
        try await recovers(index, from: "kill")
        try await cluster.start(master)
        try await cluster.waitUntilItWorks()
    }

    private mutating func recovers(_ index: Int, from fault: String) async throws {
        let start = ContinuousClock.now
        let before = load.handledCount(index)
        try await eventually("stream \(index) is handled again after a \(fault)", within: .seconds(30)) {
            load.handledCount(index) >= before + 3
        }
        recoveries.append((fault, ContinuousClock.now - start))
    }

    func report(of binary: ServerBinary) -> String {
        let faults = Dictionary(grouping: recoveries, by: \.fault).sorted { $0.key < $1.key }
        let lines = faults.map { fault, all in
            "\(binary.name): \(all.count) × \(fault), slowest recovery \(all.map(\.time).max() ?? .zero)"
        }
        return (lines + ["\(binary.name): \(load.confirmedCount) confirmed, \(load.duplicates) handled twice"])
            .joined(separator: "\n")
    }
}

extension RealCluster.Node {
    /// Whether the replica has confirmed everything that this master has written.
    fileprivate var isReplicated: Bool {
        get async {
            let info = await text("INFO", "replication")
            func number(after mark: String) -> Int? {
                info.firstRange(of: mark).flatMap { Int(info[$0.upperBound...].prefix { $0.isNumber }) }
            }
            guard let own = number(after: "master_repl_offset:"), let other = number(after: ",offset=") else {
                return false
            }
            return own == other
        }
    }
}
