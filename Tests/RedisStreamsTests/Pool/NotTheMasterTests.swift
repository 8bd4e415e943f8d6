import NIOCore
import RedisStreamsTesting
import Testing

@testable import RedisStreams

private let refusal = "-READONLY You can't write against a read only replica.\r\n"
private let offsets = [StreamOffset("orders", after: .zero)]

@Suite(.limitedTime) struct NotTheMasterTests {
    @Test(arguments: [
        refusal, "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
        "-READONLY You can't write against a read only replica. script: 962a, on @user_script:2.\r\n",
        "-ERR Error running script (call to f_1): @user_script:2: @user_script: 2: -READONLY You can't write.\r\n",
    ])
    func `Connections to a server that is not the master close after their replies, and are replaced`(
        answer: String
    ) async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            async let refused = caught { try await redis.xadd("orders", ["n": "1"]) }
            let old = await transport.nextConnection()
            #expect(await old.nextCommand()?.first == "XADD")
            async let innocent = redis.xlen("orders")
            await old.expect(["XLEN", "orders"])
            old.send(answer)
            let error = try #require(await refused)
            #expect([.readOnly, .masterDown].contains(error.code))
            #expect(!error.mayHaveExecuted)
            // The next connection leads to another server.
            async let added = redis.xadd("orders", ["n": "1"])
            let new = await transport.nextConnection()
            #expect(await new.nextCommand()?.first == "XADD")
            new.send("$3\r\n1-0\r\n")
            #expect(try await added == id("1-0"))
            // The old connection stays open until its last reply, and then closes.
            await transport.clock.advance(by: .seconds(1))
            old.send(":7\r\n")
            #expect(try await innocent == 7)
            await old.expectClose()
        }
    }

    @Test func `A leased connection closes after its read, and is not leased again`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            async let read = redis.xread(offsets, block: .seconds(5))
            let leased = await transport.nextConnection()
            #expect(await leased.nextCommand()?.first == "XREAD")
            redis.router.node?.serverIsNotMaster()
            await transport.clock.advance(by: .seconds(1))
            leased.send(batch(entry("1-0")))
            #expect(try await read.first?.first?.id == id("1-0"))
            await leased.expectClose()
            async let next = redis.xread(offsets, block: .seconds(5))
            let other = await transport.nextConnection()
            #expect(await other.nextCommand()?.first == "XREAD")
            other.send(nothing)
            _ = try await next
        }
    }

    @Test func `An idle connection to a server that is not the master is closed`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            try await redis.withConnection { _ in }
            let idle = await transport.nextConnection()
            redis.router.node?.serverIsNotMaster()
            await idle.expectClose()
        }
    }

    @Test func `A consumer that keeps its connection continues on another one`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let consumer = StreamConsumer(redis, stream: "orders", from: .beginning)
            let seen = Journal<StreamID>()
            let reader = Task { for try await message in consumer { seen.record(message.id) } }
            let old = await transport.nextConnection()
            #expect(await old.nextCommand()?.first == "XREAD")
            redis.router.node?.serverIsNotMaster()
            await transport.clock.advance(by: .milliseconds(100))
            old.send(batch(entry("1-0")))
            #expect(await seen.wait(for: 1) == [id("1-0")])
            // The consumer may begin its delay only after the time has moved.
            let new = await transport.clock.advance(by: .milliseconds(10)) { await transport.nextConnection() }
            #expect(await new.nextCommand() != nil)
            reader.cancel()
            _ = await reader.result
        }
    }

    @Test func `Writes to a replica replace connections once a second at most, and fail no read`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            async let first = redis.xlen("orders")
            let server = await transport.nextConnection()
            await server.expect(["XLEN", "orders"], answer: ":1\r\n")
            _ = try await first
            var current = server
            for round in 1...3 {
                async let refused = caught { try await redis.xadd("orders", ["n": "1"]) }
                #expect(await current.nextCommand()?.first == "XADD")
                current.send(refusal)
                #expect(await refused?.code == .readOnly)
                async let length = redis.xlen("orders")
                let next = await transport.nextConnection()
                await next.expect(["XLEN", "orders"], answer: ":\(round)\r\n")
                #expect(try await length == round)
                // The client keeps the new connection within the next second.
                async let again = caught { try await redis.xadd("orders", ["n": "1"]) }
                #expect(await next.nextCommand()?.first == "XADD")
                next.send(refusal)
                #expect(await again?.code == .readOnly)
                async let kept = redis.xlen("orders")
                await next.expect(["XLEN", "orders"], answer: ":9\r\n")
                #expect(try await kept == 9)
                await transport.clock.advance(by: .seconds(1))
                current = next
            }
        }
    }

    @Test func `When the master is replaced, every connection ends, also those that are retiring`() {
        var pool = PoolStateMachine<Link>(sharedConnections: 1, maxLeases: 3, maxIdle: 8)
        let links = (0..<5).map { _ in Link() }
        _ = pool.shared(1)
        _ = pool.connected(links[0], slot: 0)
        _ = pool.lease(2)
        _ = pool.leaseConnected(links[1])
        _ = pool.retireAll()
        _ = pool.shared(3)
        _ = pool.connected(links[2], slot: 0)
        _ = pool.lease(4)
        _ = pool.leaseConnected(links[3])
        _ = pool.lease(5)
        _ = pool.leaseConnected(links[4])
        _ = pool.releaseLease(links[4], isReusable: true)
        let ended = pool.endAll()
        #expect(ended.count == 5)
        #expect(Set(ended.map(ObjectIdentifier.init)) == Set(links.map(ObjectIdentifier.init)))
        // Nobody gets one of them again.
        let next = pool.shared(6)
        #expect(next.connect == [0])
        let release = pool.releaseLease(links[3], isReusable: true)
        #expect(release.close.map(ObjectIdentifier.init) == [ObjectIdentifier(links[3])])
    }

    @Test func `When the client ends, it also closes retiring connections`() {
        var pool = PoolStateMachine<Link>(sharedConnections: 1, maxLeases: 1, maxIdle: 8)
        _ = pool.shared(1)
        let links = [Link(), Link()]
        _ = pool.connected(links[0], slot: 0)
        _ = pool.lease(2)
        _ = pool.leaseConnected(links[1])
        let action = pool.retireAll()
        #expect(action.inUse.map(ObjectIdentifier.init) == links.map(ObjectIdentifier.init))
        let again = pool.retireAll()
        #expect(again.inUse.isEmpty)
        let end = pool.close()
        #expect(Set(end.connections.map(ObjectIdentifier.init)) == Set(links.map(ObjectIdentifier.init)))
    }
}
