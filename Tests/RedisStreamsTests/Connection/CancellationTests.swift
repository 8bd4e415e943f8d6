import NIOEmbedded
import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct CancellationTests {
    @Test func `A command that was sent keeps its place, and the next one gets its own reply`() async throws {
        let line = try await Line.open()
        let cancelled = Task { await caught { try await line.connection.xlen("a") } }
        await line.server.expect(["XLEN", "a"])
        async let next = line.connection.xlen("b")
        await line.server.expect(["XLEN", "b"])
        cancelled.cancel()
        let error = await cancelled.value
        #expect(error?.code == .cancelled)
        #expect(error?.mayHaveExecuted == true)
        line.server.send(":1\r\n:2\r\n")
        #expect(try await next == 2)
        line.connection.close()
    }

    @Test func `A reply that comes in pieces is dropped as a whole`() async throws {
        let line = try await Line.open()
        let cancelled = Task { await caught { try await line.connection.send("GET", "a") } }
        await line.server.expect(["GET", "a"])
        line.server.send("$100\r\nabc")
        cancelled.cancel()
        _ = await cancelled.value
        async let next = line.connection.xlen("b")
        await line.server.expect(["XLEN", "b"])
        line.server.send(String(repeating: "x", count: 97) + "\r\n:2\r\n")
        #expect(try await next == 2)
        line.connection.close()
    }

    @Test func `Of a pipeline what has arrived is kept`() async throws {
        let line = try await Line.open()
        let results = Task { await line.connection.pipeline([XLEN("a"), XLEN("b")]) }
        await line.server.expect(["XLEN", "a"], answer: ":1\r\n")
        await line.server.expect(["XLEN", "b"])
        async let other = line.connection.xlen("c")
        await line.server.expect(["XLEN", "c"])
        await line.clock.settle()
        results.cancel()
        let all = await results.value
        #expect(try all[0].get() == 1)
        #expect(failure(of: all[1])?.code == .cancelled)
        line.server.send(":2\r\n:3\r\n")
        #expect(try await other == 3)
        line.connection.close()
    }

    @Test func `A blocking read that is cancelled closes its own connection and nobody else's`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let streams = [StreamOffset("a", after: .zero)]
            let cancelled = Task { await caught { try await redis.xread(streams, block: .seconds(5)) } }
            let first = await transport.nextConnection()
            #expect(await first.nextCommand()?.first == "XREAD")
            async let kept = redis.xread(streams, block: .seconds(5))
            let second = await transport.nextConnection()
            #expect(await second.nextCommand()?.first == "XREAD")
            cancelled.cancel()
            #expect(await cancelled.value?.code == .cancelled)
            await first.expectClose()
            second.send(batch(of: "a", entry("1-0")))
            let batches = try await kept
            #expect(batches.first?.count == 1)
            // The client releases the connection on the event loop, which may be after the read has returned.
            await transport.clock.settle()
            // No caller gets the one that was closed.
            async let next = redis.xread(streams, block: .seconds(5))
            #expect(await second.nextCommand()?.first == "XREAD")
            second.send(nothing)
            let none = try await next
            #expect(none.isEmpty)
        }
    }

    @Test func `Cancelling a read whose reply is there does not close the connection`() async throws {
        let line = try await Line.open()
        let read = XREAD([.init("a", after: .zero)], block: .seconds(5))
        let replies = line.connection.enqueue(count: 1) { $0.write(read) }
        #expect(await line.server.nextCommand()?.first == "XREAD")
        line.server.send(nothing)
        await line.clock.settle()
        let closed = Journal<Bool>()
        let waiter = Task {
            await untilCancelled()
            return await replies.outcomes(onCancel: { closed.record(true) })
        }
        waiter.cancel()
        #expect(try await waiter.value[0].get().isNull)
        #expect(closed.all.isEmpty)
        line.connection.close()
    }

    @Test func `What a task that was cancelled before executes is not sent`() async throws {
        let line = try await Line.open()
        let gate = Gate()
        let cancelled = Task {
            await gate.wait()
            return await caught { try await line.connection.send("FIRST") }
        }
        cancelled.cancel()
        gate.open()
        let error = await cancelled.value
        #expect(error?.code == .cancelled)
        #expect(error?.mayHaveExecuted == false)
        async let next = line.connection.send("NEXT")
        await line.server.expect(["NEXT"], answer: ":2\r\n")
        #expect(try await next.integer == 2)
        line.connection.close()
    }

    @Test func `Cancellations and replies at the same time keep everything in order`() async throws {
        let line = try await Line.open()
        let server = Task {
            while let command = await line.server.nextCommand() { line.server.send(bulk(command[1])) }
        }
        var tasks: [Task<Bool, Never>] = []
        for number in 0..<400 {
            let task = Task {
                do throws(RedisError) {
                    return try await line.connection.send("ECHO", "\(number)").string == "\(number)"
                } catch {
                    return error.code == .cancelled
                }
            }
            if number.isMultiple(of: 3) { task.cancel() }
            if number.isMultiple(of: 7) { await Task.yield() }
            if number > 0, number.isMultiple(of: 5) { tasks[number / 2].cancel() }
            tasks.append(task)
        }
        for task in tasks { #expect(await task.value) }
        line.connection.close()
        await server.value
    }
}
