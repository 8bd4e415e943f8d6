import RedisStreams
@testable import RedisStreamsTesting
import Testing

/// What nodes answer differently by version. The conformance tests compare more of it with real clusters.
@Suite(.limitedTime) struct ClusterVersionTests {
    private struct Move {
        let cluster: InMemoryCluster
        let table: ClusterTable
        let old: InMemoryCluster.Node
        let new: InMemoryCluster.Node
        let slot = StreamKey("{k}").slot

        init(_ version: InMemoryRedis.Version) throws {
            cluster = InMemoryCluster(version: version)
            table = ClusterTable(cluster)
            let old = cluster.owner(of: "{k}")
            new = try #require(cluster.masters.first { $0 != old })
            self.old = old
        }

        func begin() throws { try cluster.beginMoving(slot: slot, to: new) }
        func keys() throws { try cluster.moveKeys(of: slot) }
        func finish() throws { try cluster.finishMoving(slot: slot) }
    }

    private func word(_ reply: String) -> String { reply.split(separator: " ").first.map(String.init) ?? "" }

    @Test func `A blocked XREADGROUP ends with its key, and a blocked XREAD with the slot`() async throws {
        let words = ["", "-UNBLOCKED", "-ASK", "-ASK"]
        for (version, expected) in zip(InMemoryRedis.Version.allCases, words) {
            let move = try Move(version)
            let (group, reader) = (try await move.table.connect(move.old), try await move.table.connect(move.old))
            await move.table.run("XGROUP CREATE {k} g $ MKSTREAM", on: group)
            await move.table.run("XREADGROUP GROUP g c BLOCK 60000 STREAMS {k} >", on: group)
            await move.table.run("XREAD BLOCK 60000 STREAMS {k} $", on: reader)
            try move.begin()
            #expect(await move.table.received(group) == "")
            try move.keys()
            #expect(word(await move.table.received(group)) == expected, "\(version)")
            #expect(await move.table.received(reader) == "")
            try move.finish()
            #expect(word(await move.table.received(group)) == (expected.isEmpty ? "-MOVED" : ""), "\(version)")
            #expect(await move.table.received(reader) == "-MOVED \(move.slot) \(move.new)")
        }
    }

    @Test func `Two keys of which one is absent get TRYAGAIN, and ASK on Redis 6_2`() async throws {
        for version in InMemoryRedis.Version.allCases {
            let move = try Move(version)
            let line = try await move.table.connect(move.old)
            await move.table.run("SET {k}1 v", on: line)
            try move.begin()
            let expected = version == .redis6_2 ? "-ASK" : "-TRYAGAIN"
            #expect(word(await move.table.run("EXISTS {k}1 {k}2", on: line)) == expected)
            #expect(word(await move.table.run("EXISTS {k}2 {k}3", on: line)) == "-ASK")
        }
    }

    @Test func `A transaction is refused when a command is queued, and on Valkey when it is executed`() async throws {
        for version in InMemoryRedis.Version.allCases {
            let move = try Move(version)
            let line = try await move.table.connect(move.old)
            try move.begin()
            await move.table.run("MULTI", on: line)
            let (queued, executed) = version == .valkey9_1 ? ("+QUEUED", "-ASK") : ("-ASK", "-EXECABORT")
            #expect(word(await move.table.run("XADD {k} 1-0 f v", on: line)) == queued)
            #expect(word(await move.table.run("EXEC", on: line)) == executed)
            #expect(await move.table.run("PING", on: line) == "+PONG")
        }
    }

    @Test func `A failover closes blocked connections, and redirects them on Valkey`() async throws {
        for version in InMemoryRedis.Version.allCases {
            let move = try Move(version)
            let (line, reader) = (try await move.table.connect(move.old), try await move.table.connect(move.old))
            await move.table.run("XREAD BLOCK 60000 STREAMS {k} $", on: reader)
            let promoted = try move.cluster.failOver(move.old)
            let reply = await move.table.received(reader)
            if version == .valkey9_1 {
                #expect(reply == "-MOVED \(move.slot) \(promoted)")
            } else {
                #expect(reply.hasPrefix("-UNBLOCKED force unblock from blocking operation"))
                #expect(reply.hasSuffix(" closed"))
            }
            #expect(await move.table.run("PING", on: line) == "+PONG")
        }
    }

    @Test func `Valkey moves a slot at once`() async throws {
        let move = try Move(.valkey9_1)
        let (line, reader) = (try await move.table.connect(move.old), try await move.table.connect(move.old))
        await move.table.run("XADD {k} 1-0 f v", on: line)
        await move.table.run("XREAD BLOCK 60000 STREAMS {k} $", on: reader)
        try move.cluster.moveAtomically(slot: move.slot, to: move.new)
        #expect(await move.table.received(reader) == "-MOVED \(move.slot) \(move.new)")
        #expect(await move.table.run("XLEN {k}", on: line) == "-MOVED \(move.slot) \(move.new)")
        let new = try await move.table.connect(move.new)
        #expect(await move.table.run("XLEN {k}", on: new) == ":1")
    }

    @Test func `ASKING is for one command or one transaction`() async throws {
        let move = try Move(.redis8_2)
        let (old, new) = (try await move.table.connect(move.old), try await move.table.connect(move.new))
        await move.table.run("XADD {k} 1-0 f v", on: old)
        try move.begin()
        try move.keys()
        let moved = "-MOVED \(move.slot) \(move.old)"
        #expect(await move.table.run("ASKING", "XLEN {k}", "XLEN {k}", on: new) == "+OK :1 \(moved)")
        #expect(await move.table.run("ASKING", "PING", "XLEN {k}", on: new) == "+OK +PONG \(moved)")
        let replies = await move.table.run("ASKING", "MULTI", "XLEN {k}", "XLEN {k}", "EXEC", "XLEN {k}", on: new)
        #expect(replies == "+OK +OK +QUEUED +QUEUED *2 :1 :1 \(moved)")
        let script = await move.table.run("ASKING", "EVALSHA 0123 1 {k}", "XLEN {k}", on: new)
        #expect(script == "+OK -NOSCRIPT No matching script. Please use EVAL. \(moved)")
    }
}
