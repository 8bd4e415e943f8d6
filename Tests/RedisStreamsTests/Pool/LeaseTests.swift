import RedisStreamsTesting
import Testing

@testable import RedisStreams

private let offsets = [StreamOffset("orders", after: .zero)]

@Suite(.limitedTime) struct LeaseTests {
    @Test func `A blocking read has its own connection, and delays no other command`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            async let read = redis.xread(offsets, block: .seconds(5))
            let leased = await transport.nextConnection()
            #expect(await leased.nextCommand()?.first == "XREAD")
            async let length = redis.xlen("orders")
            let shared = await transport.nextConnection()
            await shared.expect(["XLEN", "orders"], answer: ":1\r\n")
            let value = try await length
            #expect(value == 1)
            leased.send(batch(entry("1-0")))
            let batches = try await read
            #expect(batches.first?.first?.id == id("1-0"))
        }
    }

    @Test func `A leased connection is used again, for any number of reads`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            async let first = redis.xread(offsets, block: .seconds(5))
            let server = await transport.nextConnection()
            #expect(await server.nextCommand()?.first == "XREAD")
            server.send(nothing)
            _ = try await first
            for _ in 0..<20 {
                async let next = redis.xread(offsets, block: .seconds(5))
                #expect(await server.nextCommand()?.first == "XREAD")
                server.send(nothing)
                _ = try await next
            }
        }
    }

    @Test func `A connection with a command in flight is closed and not used again`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let opened = Gate()
            let using = Task {
                try await redis.withConnection { connection in
                    _ = connection.enqueue(count: 1) { $0.write(PING()) }
                    await opened.wait()
                }
            }
            let first = await transport.nextConnection()
            await first.expect(["PING"])
            opened.open()
            try await using.value
            await first.expectClose()
            async let next = redis.xread(offsets, block: .seconds(5))
            let second = await transport.nextConnection()
            #expect(await second.nextCommand()?.first == "XREAD")
            second.send(nothing)
            _ = try await next
        }
    }

    @Test func `An idle connection that the server closed is not leased`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            for _ in 0..<3 {
                async let read = redis.xread(offsets, block: .seconds(5))
                let server = await transport.nextConnection()
                #expect(await server.nextCommand()?.first == "XREAD")
                server.send(nothing)
                _ = try await read
                await transport.clock.settle()
                server.close()
                await transport.clock.settle()
            }
        }
    }

    @Test func `No more connections are leased than allowed, and the next waiter gets a released one`() async throws {
        var configuration = RedisClient.Configuration()
        configuration.maxLeasedConnections = 1
        let transport = FakeTransport()
        try await transport.withClient(configuration) { redis in
            let leased = Gate()
            let release = Gate()
            let first = Task {
                try await redis.withConnection { connection in
                    leased.open()
                    await release.wait()
                    return ObjectIdentifier(connection)
                }
            }
            _ = await transport.nextConnection()
            await leased.wait()
            let second = Task { try await redis.withConnection { ObjectIdentifier($0) } }
            while redis.router.node?.pool.waitingCount == 0 { await Task.yield() }
            release.open()
            let (one, other) = (try await first.value, try await second.value)
            #expect(one == other)
        }
    }

    @Test func `If a call waits too long for a lease, the error says which limit to raise`() async throws {
        var configuration = RedisClient.Configuration()
        configuration.maxLeasedConnections = 1
        let transport = FakeTransport()
        try await transport.withClient(configuration) { redis in
            try await redis.withConnection { _ in
                let error = await transport.clock.advance(by: .milliseconds(500)) {
                    await caught { try await redis.xread(offsets, block: .seconds(1)) }
                }
                #expect(error?.code == .connectionUnavailable)
                #expect(error?.message.contains("maxLeasedConnections") == true)
            }
        }
    }

    @Test func `A call that is cancelled while it waits does not keep its lease`() async throws {
        var configuration = RedisClient.Configuration()
        configuration.maxLeasedConnections = 1
        let transport = FakeTransport()
        try await transport.withClient(configuration) { redis in
            let cancelled = try await redis.withConnection { _ in
                let waiting = Task { await caught { try await redis.withConnection { _ in } } }
                while redis.router.node?.pool.waitingCount == 0 { await Task.yield() }
                waiting.cancel()
                return await waiting.value
            }
            #expect(cancelled?.code == .cancelled)
            try await redis.withConnection { _ in }
        }
    }

    @Test func `Concurrent leases and cancellations lose no lease`() async throws {
        var configuration = RedisClient.Configuration.patient
        configuration.maxLeasedConnections = 2
        let transport = FakeTransport()
        try await transport.withClient(configuration) { redis in
            let tasks = (0..<300).map { number in
                let task = Task { await caught { try await redis.withConnection { _ in await Task.yield() } } }
                if number.isMultiple(of: 2) { task.cancel() }
                return task
            }
            for task in tasks {
                let error = await task.value
                #expect(error == nil || error?.code == .cancelled)
            }
            try await redis.withConnection { _ in }
        }
    }

    @Test func `Connecting is tried again until the deadline, but a permanent error is thrown at once`() async throws {
        let transport = FakeTransport(answersHandshake: false)
        try await transport.withClient { redis in
            let call = Task { await caught { try await redis.xread(offsets, block: .seconds(1)) } }
            let first = await transport.nextConnection()
            await first.expectHandshake(answer: "-LOADING Redis is loading\r\n")
            let second = await transport.clock.advance(by: .milliseconds(5)) { await transport.nextConnection() }
            await second.expectHandshake(answer: "-WRONGPASS no\r\n")
            #expect(await call.value?.code == .authenticationFailed)
        }
    }
}
