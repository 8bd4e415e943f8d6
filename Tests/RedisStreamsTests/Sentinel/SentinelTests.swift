import NIOCore
import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

private let switched = "the sentinels name another master: the client has closed its connections to the one before"

/// A client behind sentinels, and what it logs.
private struct Play {
    let servers: InMemorySentinels
    let log: LogJournal

    init(_ servers: InMemorySentinels = InMemorySentinels(), log message: String = switched) {
        self.servers = servers
        log = LogJournal(of: message)
    }

    func run(
        _ configuration: RedisClient.Configuration? = nil,
        _ body: (RedisClient) async throws -> Void
    ) async throws {
        try await servers.makeClient(configuration, logger: log.logger).running(body)
    }

    /// Waits until the message was logged this often.
    func logged(_ count: Int = 1) async { _ = await log.journal.wait(for: count) }
}

@Suite(.limitedTime) struct SentinelTests {
    @Test func `A client finds the master, and follows it`() async throws {
        let play = Play()
        try await play.run { redis in
            let before = try await redis.xadd("orders", ["n": "1"])
            play.servers.failOver()
            await play.logged()
            let after = try await redis.xadd("orders", ["n": "2"])
            let all = try await redis.xrange("orders").map(\.id)
            #expect(all == [before, after])
        }
    }

    @Test func `An old master that goes on gets nothing after the switch`() async throws {
        let play = Play()
        let old = play.servers.masterAddress
        try await play.run { redis in
            try await redis.xadd("orders", ["n": "1"])
            play.servers.failOver(losing: 1, oldMaster: .stays(for: .seconds(11)))
            await play.logged()
            let count = play.servers.commands(at: old).count
            for number in 1...10 { try await redis.xadd("orders", ["n": "\(number)"]) }
            await play.servers.clock.advance(by: .seconds(12))
            #expect(try await redis.xlen("orders") == 10)
            #expect(play.servers.commands(at: old).count == count)
        }
    }

    @Test func `A blocked read ends with the switch, without time passing`() async throws {
        let play = Play()
        try await play.run { redis in
            async let read = caught {
                try await redis.xread([StreamOffset("orders", after: .zero)], block: .seconds(60))
            }
            while try await redis.info("clients")["blocked_clients"] != "1" { await Task.yield() }
            let now = play.servers.clock.elapsed
            play.servers.failOver(oldMaster: .stays(for: .seconds(11)))
            let error = await read
            #expect(error?.code == .connectionClosed)
            #expect(error?.mayHaveExecuted == true)
            #expect(error?.isRetriable == true)
            #expect(play.servers.clock.elapsed == now)
        }
    }

    @Test func `A command on its way to a master that hangs fails with the switch, which asking alone finds`()
        async throws
    {
        let play = Play()
        play.servers.setAnnouncing(false)
        try await play.run { redis in
            try await redis.xadd("orders", ["n": "1"])
            play.servers.failOver(oldMaster: .silent)
            async let lost = caught { try await redis.xadd("orders", ["n": "2"]) }
            await play.servers.clock.advance(by: .milliseconds(500))
            await play.logged()
            let error = await lost
            #expect(error?.code == .connectionClosed)
            #expect(error?.mayHaveExecuted == true)
            #expect(try await redis.xlen("orders") == 1)
        }
    }

    @Test func `An announcement needs no time, and without it nothing is found before the next question`() async throws
    {
        let play = Play()
        play.servers.setAnnouncing(false)
        try await play.run { redis in
            try await redis.xadd("orders", ["n": "1"])
            play.servers.failOver(oldMaster: .stays(for: .seconds(11)))
            await play.servers.clock.settle()
            #expect(play.log.journal.all.isEmpty)
            play.servers.setAnnouncing(true)
            play.servers.failOver(oldMaster: .stays(for: .seconds(11)))
            await play.logged()
        }
    }

    @Test func `A sentinel that is behind is not believed`() async throws {
        let play = Play(log: "a sentinel names a master of an earlier failover, and is not believed")
        let old = play.servers.masterAddress
        try await play.run { redis in
            try await redis.xadd("orders", ["n": "1"])
            play.servers.holdBack(sentinel: 0)
            play.servers.failOver(oldMaster: .stays(for: .seconds(1000)))
            await play.servers.clock.advance(by: .seconds(1))
            await play.logged()
            // The others are gone, so that it is the only one that says anything.
            play.servers.stop(sentinel: 1)
            play.servers.stop(sentinel: 2)
            let count = play.servers.commands(at: old).count
            await play.servers.clock.advance(by: .seconds(100))
            try await redis.xadd("orders", ["n": "2"])
            #expect(play.servers.commands(at: old).count == count)
            #expect(play.log.journal.all.count == 1)
        }
    }

    @Test func `A client that starts does not believe one sentinel that is behind, either`() async throws {
        let servers = InMemorySentinels()
        servers.holdBack(sentinel: 0)
        let old = servers.masterAddress
        servers.failOver(oldMaster: .stays(for: .seconds(1000)))
        try await servers.withClient { redis in
            try await redis.xadd("orders", ["n": "1"])
            #expect(servers.commands(at: old).isEmpty)
        }
    }

    @Test func `A replica that sentinels name is not served, until they name the master`() async throws {
        let servers = InMemorySentinels()
        let old = servers.masterAddress
        for sentinel in 0...2 { servers.holdBack(sentinel: sentinel) }
        servers.failOver(oldMaster: .demoted)
        try await servers.withClient { redis in
            async let id = redis.xadd("orders", ["n": "1"])
            while !servers.commands(at: old).contains(["ROLE"]) { await Task.yield() }
            await servers.clock.advance(by: .seconds(1))
            for sentinel in 0...2 { servers.holdBack(sentinel: sentinel, false) }
            _ = try await id
            #expect(!servers.commands(at: old).contains { $0.first == "XADD" })
        }
    }

    @Test func `An attempt to connect to a master that hangs ends with the switch`() async throws {
        let servers = InMemorySentinels()
        let old = servers.masterAddress
        for sentinel in 0...2 { servers.holdBack(sentinel: sentinel) }
        servers.failOver(oldMaster: .silent)
        try await servers.withClient { redis in
            async let id = redis.xadd("orders", ["n": "1"])
            while !servers.commands(at: old).contains(["PING"]) { await Task.yield() }
            let now = servers.clock.elapsed
            for sentinel in 0...2 { servers.holdBack(sentinel: sentinel, false) }
            _ = try await id
            #expect(servers.clock.elapsed == now)
        }
    }

    @Test func `Without sentinels the client stays with its master, and says so`() async throws {
        let play = Play(
            log: "no sentinel answers: the client stays with the present master, and would not notice a failover"
        )
        try await play.run { redis in
            try await redis.xadd("orders", ["n": "1"])
            for sentinel in 0...2 { play.servers.stop(sentinel: sentinel) }
            await play.servers.clock.advance(by: .seconds(1))
            await play.logged()
            try await redis.xadd("orders", ["n": "2"])
            await play.servers.clock.advance(by: .seconds(60))
            #expect(try await redis.xlen("orders") == 2)
            #expect(play.log.journal.all.count == 1)
        }
    }

    @Test func `No login of one kind of server gets to the other`() async throws {
        let servers = InMemorySentinels(password: "of-servers", sentinelPassword: "of-sentinels")
        let play = Play(servers)
        try await play.run { redis in
            try await redis.xadd("orders", ["n": "1"])
            servers.failOver()
            await play.logged()
            try await redis.xadd("orders", ["n": "2"])
            await servers.clock.advance(by: .seconds(10))
        }
        var seen: Set<String> = []
        for number in 1...3 {
            let toServer = servers.commands(at: .tcp(host: "10.0.0.\(number)")).flatMap(\.self)
            let toSentinel = servers.commands(at: .tcp(host: "10.0.1.\(number)", port: 26379)).flatMap(\.self)
            #expect(!toServer.contains("of-sentinels"))
            #expect(!toSentinel.contains("of-servers"))
            seen.formUnion(toServer + toSentinel)
        }
        #expect(seen.isSuperset(of: ["of-servers", "of-sentinels"]))
    }

    @Test func `A wrong password of the sentinels fails at once`() async throws {
        let servers = InMemorySentinels(sentinelPassword: "right")
        var configuration = servers.configuration
        configuration.topology = .sentinel(
            master: "mymaster",
            sentinels: [.tcp(host: "10.0.1.1", port: 26379)],
            credentials: .init(password: "wrong")
        )
        try await servers.withClient(configuration) { redis in
            let error = await caught { try await redis.xlen("orders") }
            #expect(error?.code == .authenticationFailed)
            #expect(error?.message.contains("wrong") == false)
        }
    }

    @Test func `A name that the sentinels do not know is said at the deadline`() async throws {
        let servers = InMemorySentinels()
        var configuration = servers.configuration
        configuration.topology = .sentinel(master: "other", sentinels: [.tcp(host: "10.0.1.1", port: 26379)])
        try await servers.withClient(configuration) { redis in
            let error = await servers.clock.advance(by: .milliseconds(100)) {
                await caught { try await redis.xlen("orders") }
            }
            #expect(error?.code == .connectionUnavailable)
            #expect(error?.message.contains("knows no master of this name") == true)
        }
    }

    @Test func `Other sentinels are learned from the one that is configured`() async throws {
        let play = Play()
        var configuration = play.servers.configuration
        configuration.topology = .sentinel(master: "mymaster", sentinels: [.tcp(host: "10.0.1.1", port: 26379)])
        try await play.run(configuration) { redis in
            try await redis.xadd("orders", ["n": "1"])
            await play.servers.clock.settle()
            play.servers.stop(sentinel: 0)
            await play.servers.clock.advance(by: .seconds(1))
            play.servers.failOver()
            await play.logged()
            #expect(try await redis.xlen("orders") == 1)
        }
    }

    @Test func `Ids of connections are not used on another server`() async throws {
        let play = Play()
        try await play.run { redis in
            let node = try #require(redis.router.node)
            let leased = try await node.pool.lease()
            _ = try await node.pool.shared()
            #expect(node.readyShared(toServerOf: leased) != nil)
            play.servers.failOver(oldMaster: .stays(for: .seconds(11)))
            await play.logged()
            _ = try await node.pool.shared()
            #expect(node.readyShared(toServerOf: leased) == nil)
            await node.pool.released(leased)
        }
    }

    /// The number of writes from the last acknowledgement on.
    private static func writesFromAcknowledgement(_ commands: [[String]]) -> Int? {
        let acknowledgement = commands.lastIndex { command in
            command[0] == "XACK" || command.starts(with: ["EVALSHA", Script.acknowledge.sha1])
        }
        return acknowledgement.map { start in
            commands[start...].count { CommandTable.writes.contains($0[0].lowercased()) }
        }
    }

    @Test(arguments: [false, true])
    func `What a failover took back is acknowledged again unhandled, by the consumer that handled it`(
        isAnother: Bool
    ) async throws {
        let play = Play(log: "acknowledged messages again, since a failover had taken that back")
        let old = play.servers.masterAddress
        try await play.run { redis in
            let seen = Journal<StreamID>()
            @Sendable func consume() async throws {
                try await GroupConsumer(redis, stream: "orders", group: "billing", consumer: "1").run {
                    seen.record($0.id)
                }
            }
            var worker = Task { try await consume() }
            let id = try await redis.xadd("orders", ["n": "1"])
            _ = await seen.wait(for: 1)
            while Self.writesFromAcknowledgement(play.servers.commands(at: old)) == nil {
                await play.servers.clock.advance(by: .milliseconds(1))
            }
            if isAnother {
                worker.cancel()
                _ = await worker.result
            }
            play.servers.failOver(losing: try #require(Self.writesFromAcknowledgement(play.servers.commands(at: old))))
            if isAnother { worker = Task { try await consume() } }
            let pending = await play.servers.clock.advance(by: .milliseconds(10)) {
                for _ in 1...1000 {
                    if (try? await redis.xpending("orders", group: "billing").count) == 0 { return 0 }
                    await Task.yield()
                }
                return 1
            }
            #expect(pending == 0)
            #expect(seen.all == (isAnother ? [id, id] : [id]))
            worker.cancel()
            _ = await worker.result
        }
        #expect(play.log.journal.all.count == (isAnother ? 0 : 1))
    }

    @Test func `A group consumer goes on with the new master`() async throws {
        let play = Play()
        try await play.run { redis in
            let seen = Journal<StreamID>()
            let consumer = GroupConsumer(redis, stream: "orders", group: "billing", consumer: "1")
            let worker = Task { try await consumer.run { seen.record($0.id) } }
            let first = try await redis.xadd("orders", ["n": "1"])
            #expect(await seen.wait(for: 1) == [first])
            play.servers.failOver(oldMaster: .stays(for: .seconds(11)))
            await play.logged()
            let second = try await redis.xadd("orders", ["n": "2"])
            while seen.all.last != second { await play.servers.clock.advance(by: .milliseconds(10)) }
            worker.cancel()
            _ = await worker.result
        }
    }
}
