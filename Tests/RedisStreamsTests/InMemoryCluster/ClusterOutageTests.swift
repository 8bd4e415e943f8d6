import RedisStreams
@testable import RedisStreamsTesting
import Testing

/// Failover and outages of a cluster in memory.
@Suite(.limitedTime) struct ClusterOutageTests {
    private let cluster = InMemoryCluster()
    private let table: ClusterTable
    private let slot = StreamKey("k").slot
    private let master: InMemoryCluster.Node

    init() {
        table = ClusterTable(cluster)
        master = cluster.owner(of: "k")
    }

    @Test func `A failover loses what came after replication had stopped`() async throws {
        let old = try await table.connect(master)
        await table.run(
            "XADD k 1-0 f v",
            "XADD k 2-0 f v",
            "XGROUP CREATE k g 0",
            "XREADGROUP GROUP g c COUNT 1 STREAMS k >",
            on: old
        )
        cluster.stopReplication(of: master)
        let replies = await table.run("XACK k g 1-0", "XADD k 3-0 f v", "XGROUP CREATE k h 0", on: old)
        #expect(replies == ":1 $3 3-0 +OK")
        let promoted = try cluster.failOver(master)
        #expect(cluster.owner(of: "k") == promoted)
        #expect(cluster.replicas(of: promoted) == [master])
        #expect(await table.run("XLEN k", on: old) == "-MOVED \(slot) \(promoted)")
        let new = try await table.connect(promoted)
        #expect(await table.run("XLEN k", "XPENDING k g - + 9", on: new) == ":2 *1 *4 $3 1-0 $1 c :0 :1")
        #expect(await table.run("XREADGROUP GROUP h c STREAMS k >", on: new).hasPrefix("-NOGROUP"))
        #expect(await table.run("XADD k 3-0 other entry", on: new) == "$3 3-0")
    }

    @Test func `A failover keeps everything while replication goes on, and can go back`() async throws {
        let old = try await table.connect(master)
        await table.run("XADD k 1-0 f v", on: old)
        cluster.stopReplication(of: master)
        await table.run("XADD k 2-0 f v", on: old)
        cluster.startReplication(of: master)
        let promoted = try cluster.failOver(master)
        let new = try await table.connect(promoted)
        #expect(await table.run("XADD k 3-0 f v", "XLEN k", on: new) == "$3 3-0 :3")
        #expect(try cluster.failOver(promoted) == master)
        #expect(await table.run("XLEN k", on: old) == ":3")
        #expect(await table.run("XLEN k", "ROLE", on: new).hasPrefix("-MOVED \(slot) \(master) *5 $5 slave"))
    }

    @Test func `A stopped master executes what waited, although another one has its slots`() async throws {
        let old = try await table.connect(master)
        await table.run("XADD k 1-0 f v", on: old)
        cluster.stop(master)
        #expect(await table.run("XADD k 2-0 f v", on: old) == "")
        let late = try await table.connect(master)
        #expect(await table.run("PING", on: late) == "")
        let promoted = try cluster.failOver(master)
        cluster.start(master)
        #expect(await table.received(old) == "$3 2-0")
        #expect(await table.received(late) == "+PONG")
        #expect(await table.run("XLEN k", on: old) == "-MOVED \(slot) \(promoted)")
        #expect(await table.run("XLEN k", on: try await table.connect(promoted)) == ":1")
    }

    @Test func `A stopped master whose client has left executes its commands, too`() async throws {
        let (old, other) = (try await table.connect(master), try await table.connect(master))
        cluster.stop(master)
        await table.run("XADD k 1-0 f v", on: old)
        old.close()
        cluster.start(master)
        #expect(await table.run("XLEN k", "CLIENT ID", on: other) == ":1 :2")
        #expect(await table.received(old) == "")
    }

    @Test func `A blocked read that ends while the server stands still ends when it goes on`() async throws {
        let reader = try await table.connect(master)
        await table.run("XREAD BLOCK 1000 STREAMS k $", on: reader)
        cluster.stop(master)
        await cluster.clock.advance(by: .seconds(5))
        #expect(await table.received(reader) == "")
        cluster.start(master)
        #expect(await table.received(reader) == "*-1")
    }

    @Test func `A killed node closes its connections and refuses new ones`() async throws {
        let line = try await table.connect(master)
        await table.run("XADD k 1-0 f v", on: line)
        cluster.kill(master)
        #expect(await table.received(line) == " closed")
        #expect(await caught { _ = try await table.connect(master) }?.code == .connectionRefused)
        cluster.start(master)
        #expect(await table.run("XLEN k", on: try await table.connect(master)) == ":1")
    }

    @Test func `Nothing arrives at an isolated node, and connecting times out`() async throws {
        let line = try await table.connect(master)
        cluster.isolate(master)
        #expect(await table.run("XADD k 1-0 f v", on: line) == "")
        let codes = Journal<RedisError.Code?>()
        let attempt = Task { codes.record(await caught { _ = try await table.connect(master) }?.code) }
        while codes.all.isEmpty { await cluster.clock.advance(by: .seconds(1)) }
        await attempt.value
        #expect(codes.all == [.connectTimeout])
        let promoted = try cluster.failOver(master)
        cluster.start(master)
        let again = try await table.connect(master)
        #expect(await table.run("XLEN k", on: again) == "-MOVED \(slot) \(promoted)")
        #expect(await table.received(line) == "")
    }

    @Test func `While the cluster is down, commands with keys and blocked reads get CLUSTERDOWN`() async throws {
        let (line, reader) = (try await table.connect(master), try await table.connect(master))
        await table.run("XREAD BLOCK 60000 STREAMS k $", on: reader)
        cluster.clusterDown(for: .seconds(1))
        #expect(await table.received(reader) == "-CLUSTERDOWN The cluster is down")
        #expect(await table.run("XLEN k", "PING", on: line) == "-CLUSTERDOWN The cluster is down +PONG")
        await cluster.clock.advance(by: .seconds(1))
        #expect(await table.run("XLEN k", on: line) == ":0")
        #expect(await table.run("XLEN k", on: reader) == ":0")
    }

    @Test func `A fault can happen at one node`() async throws {
        let other = try #require(cluster.masters.first { $0 != master })
        let fault = cluster.inject(.error("LOADING the test says so"), on: "PING", at: master)
        #expect(await table.run("PING", on: try await table.connect(other)) == "+PONG")
        #expect(await table.run("PING", on: try await table.connect(master)) == "-LOADING the test says so")
        #expect(fault.fired == 1)
    }

    @Test func `A client of the library works with one node`() async throws {
        let address = RedisClient.Configuration(address: master.address)
        try await cluster.withClient(address) { redis in
            try await redis.xadd("k", ["f": "v"])
            let foreign = try #require((0..<1000).map { StreamKey("\($0)") }.first { cluster.owner(of: $0) != master })
            let error = await caught { try await redis.xlen(foreign) }
            #expect(error?.serverCode == "MOVED")
            let info = try await redis.info("server")
            #expect(info["redis_mode"] == "cluster")
        }
    }
}
