import NIOCore
import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

extension InMemoryCluster {
    /// The configuration of a client that knows one node.
    var clustered: RedisClient.Configuration {
        var configuration = configuration
        configuration.topology = .cluster(seeds: [nodes[0].address])
        configuration.acquireTimeout = .seconds(30)
        return configuration
    }

    /// A master that does not serve the slot of the stream.
    func other(than stream: StreamKey) -> Node {
        let owner = owner(of: stream)
        return masters.first { $0 != owner } ?? owner
    }

    /// Moves the time until `operation` has ended.
    func passing<Value: Sendable>(_ operation: @escaping @Sendable () async -> Value) async -> Value {
        await clock.advance(by: .milliseconds(20), until: operation)
    }

    /// Adds a numbered message to the stream "orders", however long that takes.
    func add(_ number: Int, _ redis: RedisClient) async throws {
        let added = await passing { () -> Result<StreamID?, RedisError> in
            do throws(RedisError) { return .success(try await redis.xadd("orders", ["n": .integer(number)])) } catch {
                return .failure(error)
            }
        }
        _ = try added.get()
    }

    /// Moves the slot of the stream "orders" several times while a producer adds 400 messages. Returns their numbers in the order
    /// of the stream.
    ///
    /// Each node answers 7 ms later, so that many batches are on their way when the slot moves.
    func orderOfProducer(
        _ redis: RedisClient,
        _ configuration: StreamProducer.Configuration
    ) async throws -> [Int] {
        inject(.delay(.milliseconds(7)), on: "XADD", times: .max)
        let producer = try StreamProducer(redis, stream: "orders", configuration: configuration)
        let sending = Task {
            for number in 0..<400 {
                try await producer.submit(["n": .integer(number)])
                if number % 4 == 3 { await clock.advance(by: .milliseconds(1)) }
                if number % 40 == 39 { try move(slot: StreamKey("orders").slot, to: other(than: "orders")) }
            }
            try await producer.finish()
        }
        _ = try await passing { await sending.result }.get()
        let read = await passing { try? await redis.xrange("orders", count: 1000) }
        return read?.map { $0["n"].flatMap { Int($0) } ?? -1 } ?? []
    }

    /// Moves the time in steps, in each of which the client can do something.
    func pass(_ time: Duration) async {
        let end = clock.elapsed + time
        while clock.elapsed < end { await clock.advance(by: .milliseconds(100)) }
    }

    /// Counts commands by an injected fault that never happens.
    func counter(of command: String, at node: Node? = nil) -> Fault {
        inject(.delay(.zero), on: command, at: node, times: .max)
    }
}

/// Commands of a client of a cluster.
@Suite(.limitedTime) struct ClusterClientTests {
    private let cluster = InMemoryCluster()

    private func result<Value: Sendable>(
        _ operation: @escaping @Sendable () async throws(RedisError) -> Value
    ) async -> Result<Value, RedisError> {
        await cluster.passing {
            do throws(RedisError) { return .success(try await operation()) } catch { return .failure(error) }
        }
    }

    @Test func `Commands reach the nodes of their keys without a redirection`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            for number in 0..<50 {
                let added = await result { () async throws(RedisError) in
                    try await redis.xadd(StreamKey("stream-\(number)"), ["n": .integer(number)])
                }
                _ = try added.get()
            }
            let moved = cluster.counter(of: "CLUSTER SLOTS")
            let lengths = await result { () async throws(RedisError) in
                try await redis.pipeline((0..<50).map { XLEN(StreamKey("stream-\($0)")) }).map { try? $0.get() }
            }
            #expect(try lengths.get() == Array(repeating: 1, count: 50))
            #expect(moved.fired == 0)
        }
    }

    @Test func `A moved slot costs one redirection, and later commands none`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            let first = await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }
            _ = try first.get()
            let (old, new) = (cluster.owner(of: "orders"), cluster.other(than: "orders"))
            try cluster.move(slot: StreamKey("orders").slot, to: new)
            let atOld = cluster.counter(of: "XADD", at: old)
            let atNew = cluster.counter(of: "XADD", at: new)
            for number in 2...4 {
                let added = await result { () async throws(RedisError) in
                    try await redis.xadd("orders", ["n": .integer(number)])
                }
                _ = try added.get()
            }
            #expect(atOld.fired == 1)
            #expect(atNew.fired == 3)
            #expect(try await result { () async throws(RedisError) in try await redis.xlen("orders") }.get() == 4)
        }
    }

    @Test func `ASK is followed for one command, and other keys of the slot stay where they are`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            for stream in ["{t}a", "{t}b"] as [StreamKey] {
                _ = try await result { () async throws(RedisError) in try await redis.xadd(stream, ["n": 1]) }.get()
            }
            let slot = StreamKey("{t}a").slot
            try cluster.beginMoving(slot: slot, to: cluster.other(than: "{t}a"))
            #expect(try cluster.moveKeys(of: slot, atMost: 1) == 1)
            for _ in 0..<3 {
                for stream in ["{t}a", "{t}b"] as [StreamKey] {
                    _ = try await result { () async throws(RedisError) in try await redis.xadd(stream, ["n": 2]) }.get()
                }
            }
            try cluster.finishMoving(slot: slot)
            for stream in ["{t}a", "{t}b"] as [StreamKey] {
                #expect(try await result { () async throws(RedisError) in try await redis.xlen(stream) }.get() == 4)
            }
        }
    }

    @Test func `A raw command that names no keys follows MOVED and ASK`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }.get()
            let slot = StreamKey("orders").slot
            try cluster.beginMoving(slot: slot, to: cluster.other(than: "orders"))
            try cluster.moveKeys(of: slot)
            for _ in 0..<6 {
                let length = await result { () async throws(RedisError) in
                    try await redis.execute(RawCommand("XLEN", "orders")).integer
                }
                #expect(try length.get() == 1)
            }
        }
    }

    @Test func `A script that the new node does not know is asked for again, behind ASKING`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }.get()
            let slot = StreamKey("orders").slot
            try cluster.beginMoving(slot: slot, to: cluster.other(than: "orders"))
            try cluster.moveKeys(of: slot)
            let call = ScriptCall(.savePosition, keys: ["{orders}:p"], arguments: ["1-0", 0, "save"])
            _ = try await result { () async throws(RedisError) in try await redis.run(call) }.get()
        }
    }

    @Test func `Keys of two slots are refused before anything is sent`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            let sent = cluster.counter(of: "")
            let results = [
                await result { () async throws(RedisError) in try await redis.execute(DEL(["orders", "refunds"])) },
                await result { () async throws(RedisError) in
                    _ = try await redis.transaction(XLEN("orders"), XLEN("refunds"))
                    return 0
                },
            ]
            for result in results {
                guard case .failure(let error) = result else {
                    Issue.record("it was not refused")
                    continue
                }
                #expect(error.code == .crossSlot)
            }
            #expect(sent.fired == 0)
        }
    }

    @Test func `A transaction follows its slot as a whole`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }.get()
            let slot = StreamKey("orders").slot
            try cluster.beginMoving(slot: slot, to: cluster.other(than: "orders"))
            try cluster.moveKeys(of: slot)
            let replies = await result { () async throws(RedisError) in
                let (added, length) = try await redis.transaction(XADD("orders", ["n": 2]), XLEN("orders"))
                _ = try added.get()
                return try length.get()
            }
            #expect(try replies.get() == 2)
        }
    }

    @Test func `A pipeline keeps the order within a stream while its slot moves`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 0]) }.get()
            try cluster.move(slot: StreamKey("orders").slot, to: cluster.other(than: "orders"))
            let commands = (1...9).map { XADD($0 % 3 == 0 ? "refunds" : "orders", ["n": .integer($0)]) }
            let added = try await result { () async throws(RedisError) in try await redis.pipeline(commands) }.get()
            #expect(added.allSatisfy { (try? $0.get()) != nil })
            let batch = try await result { () async throws(RedisError) in try await redis.xrange("orders") }.get()
            #expect(batch.map { $0["n"] } == ["0", "1", "2", "4", "5", "7", "8"])
        }
    }

    @Test func `A command waits for the new master of a node that was killed`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }.get()
            let master = cluster.owner(of: "orders")
            cluster.kill(master)
            let adding = Task {
                await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 2]) }
            }
            await cluster.clock.advance(by: .seconds(3))
            try cluster.failOver(master)
            _ = try await adding.value.get()
            #expect(try await result { () async throws(RedisError) in try await redis.xlen("orders") }.get() == 2)
        }
    }

    @Test func `If no master and no seed answers, a replica that the map has named is asked`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }.get()
            let masters = cluster.masters
            for master in masters { cluster.kill(master) }
            for master in masters { try cluster.failOver(master) }
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 2]) }.get()
        }
    }

    @Test func `A connection that the client closes itself is no reason to ask for a map`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }.get()
            // What the first command asked for is over.
            await cluster.pass(.seconds(3))
            let asked = cluster.counter(of: "CLUSTER SLOTS")
            let reads = cluster.counter(of: "XREAD")
            let reading = Task {
                await result { () async throws(RedisError) in
                    try await redis.execute(XREAD([StreamOffset("orders", after: .max)], block: .seconds(60)))
                }
            }
            await cluster.passing { while reads.fired == 0 { await Task.yield() } }
            reading.cancel()
            _ = await reading.value
            await cluster.pass(.seconds(3))
            #expect(asked.fired == 0)
        }
    }

    @Test func `While no node answers, a warning comes once a minute, and a line when one does`() async throws {
        let lines = LogLines()
        let client = try cluster.makeClient(cluster.clustered, logger: lines.logger)
        try await client.running { redis in
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }.get()
            for node in cluster.nodes { cluster.kill(node) }
            _ = await result { () async throws(RedisError) in try await redis.xlen("orders") }
            await cluster.pass(.seconds(150))
            let warnings = lines.lines("no node of the cluster told its map")
            #expect((2...3).contains(warnings.count))
            #expect(warnings.first?.metadata["redis.attempt"] == "1")
            for node in cluster.nodes { cluster.start(node) }
            await cluster.pass(.seconds(10))
            #expect(lines.lines("a node of the cluster has told its map again").count == 1)
        }
    }

    @Test func `Nodes that serve no slot any more are given up, and may come back`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            let router = try #require(redis.router.cluster)
            let old = cluster.owner(of: "orders")
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }.get()
            let new = try cluster.failOver(old)
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 2]) }.get()
            #expect(router.addresses.contains(old.address))
            await cluster.pass(.seconds(160))
            #expect(router.addresses.isSubset(of: cluster.masters.map(\.address)))
            #expect(router.addresses.contains(new.address))
            #expect(try cluster.failOver(new) == old)
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 3]) }.get()
            #expect(router.addresses.contains(old.address))
        }
    }

    @Test func `Another service at the address of a former master ends no command`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }.get()
            let master = cluster.owner(of: "orders")
            cluster.kill(master)
            try cluster.failOver(master)
            let refused = cluster.inject(.error("NOAUTH Authentication required."), on: "PING", at: master, times: .max)
            cluster.start(master)
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 2]) }.get()
            #expect(refused.fired > 0)
        }
    }

    @Test func `The refusal of the node that serves a slot is final, once a new map has named it`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }.get()
            let master = cluster.owner(of: "orders")
            cluster.inject(.error("NOAUTH Authentication required."), on: "PING", at: master, times: .max)
            cluster.inject(.close, on: "XLEN", at: master)
            _ = await result { () async throws(RedisError) in try await redis.xlen("orders") }
            let begin = cluster.clock.elapsed
            let added = await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 2]) }
            guard case .failure(let error) = added else {
                Issue.record("the node refuses")
                return
            }
            #expect(error.code == .authenticationFailed)
            #expect(cluster.clock.elapsed - begin < .seconds(5), "it does not wait until the deadline")
        }
    }

    @Test func `A cluster that is down is waited for until the deadline`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }.get()
            cluster.clusterDown(for: .seconds(2))
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 2]) }.get()
            cluster.clusterDown(for: .seconds(3600))
            let late = await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 3]) }
            guard case .failure(let error) = late else {
                Issue.record("the cluster was down")
                return
            }
            #expect(error.code == .clusterUnavailable)
            #expect(!error.mayHaveExecuted)
        }
    }

    @Test func `A command whose reply was lost is never sent again`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }.get()
            cluster.inject(.closeAfterExecuting, on: "XADD")
            let lost = await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 2]) }
            guard case .failure(let error) = lost else {
                Issue.record("the reply was not lost")
                return
            }
            #expect(error.mayHaveExecuted)
            #expect(try await result { () async throws(RedisError) in try await redis.xlen("orders") }.get() == 2)
        }
    }

    @Test func `Nodes that send a command on to each other are left after five redirections`() async throws {
        try await cluster.withClient(cluster.clustered) { redis in
            _ = try await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }.get()
            let slot = StreamKey("orders").slot
            let (a, b) = (cluster.owner(of: "orders"), cluster.other(than: "orders"))
            cluster.inject(.error("MOVED \(slot) \(b)"), on: "XADD", at: a, times: .max)
            let atB = cluster.inject(.error("MOVED \(slot) \(a)"), on: "XADD", at: b, times: .max)
            let added = await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 2]) }
            guard case .failure(let error) = added else {
                Issue.record("it was added")
                return
            }
            #expect(error.code == .slotMoving)
            #expect(error.command == "XADD")
            #expect(atB.fired == 3)
        }
    }

    @Test func `A client of a single server is told to use the URL of a cluster`() async throws {
        let stream = try #require(
            ["a", "b", "c", "d"].map { StreamKey($0) }.first { cluster.owner(of: $0) != cluster.nodes[0] }
        )
        try await cluster.withClient(RedisClient.Configuration(address: cluster.nodes[0].address)) { redis in
            let added = await result { () async throws(RedisError) in try await redis.xadd(stream, ["n": 1]) }
            guard case .failure(let error) = added else {
                Issue.record("another node has the slot")
                return
            }
            #expect(error.code == .redirected)
            #expect(error.message.contains("redis+cluster://"))
        }
    }

    @Test func `If the seed is down, and no other is known, the reason is told`() async throws {
        cluster.kill(cluster.nodes[0])
        try await cluster.withClient(cluster.clustered) { redis in
            let added = await result { () async throws(RedisError) in try await redis.xadd("orders", ["n": 1]) }
            guard case .failure(let error) = added else {
                Issue.record("no node is known")
                return
            }
            #expect(error.code == .connectionRefused)
        }
    }
}
