import RedisStreams
@testable import RedisStreamsTesting
import Testing

/// The levers of a cluster in memory. What its nodes answer is compared with real ones in the conformance tests.
@Suite(.limitedTime) struct InMemoryClusterTests {
    /// Returns a key that a node serves.
    private func key(of node: InMemoryCluster.Node, in cluster: InMemoryCluster) throws -> String {
        try #require((0..<1000).map { "key-\($0)" }.first { cluster.owner(of: StreamKey($0)) == node })
    }

    private func slot(_ key: String) -> Int { StreamKey(key).slot }

    @Test(arguments: ["", "{", "{}", "a{b}c", "{b}", "a{}b", "{a}{b}", "a}b{c", "123456789", "ä", "{ä}1", "{{a}}"])
    func `The slot of a key is the one that the library computes`(key: String) {
        #expect(HashSlot.of(Bytes(key)) == slot(key))
    }

    @Test func `Nodes announce names, addresses, or nothing`() async throws {
        for (announcement, host) in zip(InMemoryCluster.Announcement.allCases, ["node-2", "10.0.0.2", ""]) {
            let cluster = InMemoryCluster(masters: 2, replicas: 0, version: .redis7_0, announcement: announcement)
            let table = ClusterTable(cluster)
            let line = try await table.connect(cluster.nodes[0])
            let key = try key(of: cluster.nodes[1], in: cluster)
            #expect(await table.run("XLEN \(key)", on: line) == "-MOVED \(slot(key)) \(host):7001")
            let map = await table.run("CLUSTER SLOTS", on: line)
            let name = host.isEmpty ? "$-1" : "$\(host.count) \(host)"
            #expect(map.contains(":8192 :16383 *4 \(name) :7001 $40"))
        }
    }

    @Test func `Redis 6_2 announces an address where others announce nothing`() async throws {
        let cluster = InMemoryCluster(masters: 2, replicas: 1, version: .redis6_2, announcement: .unknownEndpoint)
        let table = ClusterTable(cluster)
        let map = await table.run("CLUSTER SLOTS", on: try await table.connect(cluster.nodes[0]))
        #expect(map.hasPrefix("*2 *4 :0 :8191 *3 $8 10.0.0.1 :7000 $40 "))
    }

    @Test func `Only the addresses of nodes lead to a node`() async throws {
        let cluster = InMemoryCluster()
        let table = ClusterTable(cluster)
        for host in ["node-2", "10.0.0.2"] {
            let line = try await table.connect(.tcp(host: host, port: 7001))
            #expect(await table.run("CLUSTER MYID", on: line).hasSuffix("0002"))
        }
        let error = await caught { _ = try await table.connect(.tcp(host: "node-2", port: 7000)) }
        #expect(error?.code == .hostNotFound)
        let unnamed = InMemoryCluster(announcement: .unknownEndpoint)
        let line = try await ClusterTable(unnamed).connect(.tcp(host: "localhost", port: 7001))
        #expect(await ClusterTable(unnamed).run("CLUSTER MYID", on: line).hasSuffix("0002"))
    }

    @Test func `Each node numbers its clients from 1`() async throws {
        let cluster = InMemoryCluster()
        let table = ClusterTable(cluster)
        for node in cluster.nodes {
            #expect(await table.run("CLIENT ID", on: try await table.connect(node)) == ":1")
        }
        let line = try await table.connect(cluster.nodes[1])
        #expect(await table.run("CLIENT KILL ID 1", on: line) == ":1")
    }

    @Test func `A group, its pending messages and their idle times move with the stream`() async throws {
        let cluster = InMemoryCluster()
        let table = ClusterTable(cluster)
        let (old, new) = (cluster.nodes[0], cluster.nodes[1])
        let key = try key(of: old, in: cluster)
        let (a, b) = (try await table.connect(old), try await table.connect(new))
        await table.run(
            "XADD \(key) 1-0 f v",
            "XGROUP CREATE \(key) g 0",
            "XREADGROUP GROUP g c STREAMS \(key) >",
            on: a
        )
        await cluster.clock.advance(by: .seconds(2))
        try cluster.move(slot: slot(key), to: new)
        #expect(cluster.owner(of: StreamKey(key)) == new)
        #expect(await table.run("XPENDING \(key) g - + 10", on: b) == "*1 *4 $3 1-0 $1 c :2000 :1")
        cluster.stepClock(of: new, by: .seconds(60))
        #expect(await table.run("XPENDING \(key) g - + 10", on: b).contains(":62000"))
    }

    @Test func `Keys of a slot can move one by one, and one that expires keeps its time to live`() async throws {
        let cluster = InMemoryCluster()
        let table = ClusterTable(cluster)
        let (old, new) = (cluster.owner(of: "{k}1"), cluster.masters[0])
        let target = old == new ? cluster.masters[1] : new
        let (a, b) = (try await table.connect(old), try await table.connect(target))
        await table.run("SET {k}1 a", "SET {k}2 b", "PEXPIRE {k}1 1000", on: a)
        cluster.stepClock(of: target, by: .seconds(60))
        try cluster.beginMoving(slot: slot("{k}1"), to: target)
        #expect(try cluster.moveKeys(of: slot("{k}1"), atMost: 1) == 1)
        #expect(await table.run("GET {k}2", "EXISTS {k}1 {k}2", on: a).hasPrefix("$1 b -TRYAGAIN"))
        #expect(await table.run("ASKING", "PTTL {k}1", on: b) == "+OK :1000")
        try cluster.finishMoving(slot: slot("{k}1"))
        #expect(await table.run("GET {k}1", "GET {k}2", on: b) == "$1 a $1 b")
    }

    @Test func `A node without gossip sends clients to the old owner`() async throws {
        let cluster = InMemoryCluster()
        let table = ClusterTable(cluster)
        let (old, new, third) = (cluster.masters[0], cluster.masters[1], cluster.masters[2])
        let key = try key(of: old, in: cluster)
        cluster.stopGossip(to: third)
        try cluster.move(slot: slot(key), to: new)
        let line = try await table.connect(third)
        #expect(await table.run("XLEN \(key)", on: line) == "-MOVED \(slot(key)) \(old)")
        #expect(await table.run("XLEN \(key)", on: try await table.connect(old)) == "-MOVED \(slot(key)) \(new)")
        cluster.startGossip(to: third)
        #expect(await table.run("XLEN \(key)", on: line) == "-MOVED \(slot(key)) \(new)")
    }

    @Test func `A failover ends the move of a slot, whose keys stay where they are`() async throws {
        let cluster = InMemoryCluster()
        let table = ClusterTable(cluster)
        let (old, new) = (cluster.masters[0], cluster.masters[1])
        let key = try key(of: old, in: cluster)
        let line = try await table.connect(old)
        await table.run("XADD \(key) 1-0 f v", on: line)
        try cluster.beginMoving(slot: slot(key), to: new)
        try cluster.moveKeys(of: slot(key))
        #expect(await table.run("XLEN \(key)", on: line) == "-ASK \(slot(key)) \(new)")
        try cluster.failOver(new)
        #expect(await table.run("XLEN \(key)", on: line) == ":0")
    }

    @Test func `Levers say what is wrong with their arguments`() async throws {
        let cluster = InMemoryCluster()
        let node = cluster.owner(of: "k")
        let other = try #require(cluster.masters.first { $0 != node })
        let replica = try #require(cluster.replicas(of: other).first)
        let slot = slot("k")
        for lever in [
            { try cluster.beginMoving(slot: 16_384, to: node) }, { try cluster.beginMoving(slot: -1, to: node) },
            { try cluster.beginMoving(slot: slot, to: node) }, { try cluster.beginMoving(slot: slot, to: replica) },
            { try cluster.finishMoving(slot: slot) }, { _ = try cluster.moveKeys(of: slot) },
            { _ = try cluster.failOver(replica) }, { _ = try InMemoryCluster(replicas: 0).failOver(node) },
        ] as [@Sendable () throws -> Void] {
            #expect(await caught { try lever() }?.code == .invalidArgument)
        }
        #expect(await caught { try cluster.moveAtomically(slot: slot, to: other) }?.code == .unsupportedByServer)
        let stranger = try #require(InMemoryCluster(masters: 9).nodes.last)
        cluster.stop(stranger)
        cluster.stopReplication(of: stranger)
        cluster.stepClock(of: stranger, by: .seconds(1))
        #expect(await caught { try cluster.failOver(stranger) }?.code == .invalidArgument)
        try cluster.beginMoving(slot: slot, to: other)
        #expect(await caught { try cluster.beginMoving(slot: slot, to: other) }?.code == .invalidArgument)
    }
}
