import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct MessageBufferTests {
    @Test func `Waiting tasks get the messages in the order in which they asked`() async throws {
        let buffer = MessageBuffer<[Int]>(prefetch: 10)
        let readers = await waitingReaders(3, of: buffer)
        buffer.deliver([1, 2])
        buffer.deliver([3, 4])
        var got: [Int?] = []
        for reader in readers { got.append(try await reader.value) }
        #expect(Set(got) == [1, 2, 3])
        let rest = try await buffer.next()
        #expect(rest == 4)
    }

    @Test func `Once it has stopped, takeRest returns the undelivered messages`() async throws {
        let buffer = MessageBuffer<[Int]>(prefetch: 10)
        buffer.deliver([1, 2, 3])
        _ = try await buffer.next()
        #expect(buffer.takeRest().isEmpty)
        buffer.stop()
        buffer.deliver([4])
        #expect(buffer.takeRest() == [2, 3, 4])
        #expect(buffer.takeRest().isEmpty)
        #expect(!buffer.hasFailed)
        buffer.fail(refusedByTest)
        #expect(buffer.hasFailed)
    }

    @Test func `Handled messages that are held back take no room from a free handler`() async throws {
        let budget = PrefetchBudget(time: .zero, concurrency: 1, batch: 10, prefetch: 10)
        let buffer = MessageBuffer<[Int]>(prefetch: 10, budget: budget)
        buffer.setHeldBack(5)
        let waiting = Task { try await buffer.next() }
        while buffer.waitingCount == 0 { await Task.yield() }
        #expect(buffer.room(besides: 0) == 1)
        buffer.setHeldBack(11)
        #expect(buffer.room(besides: 0) == 0, "the bound counts messages that are held back")
        buffer.stop()
        let message = try await waiting.value
        #expect(message == nil)
    }

    @Test func `Reading may end by itself before it is cancelled`() async throws {
        let buffer = MessageBuffer<[Int]>(prefetch: 10)
        let order = Journal<String>()
        let ended = Gate()
        let open = Task {
            await buffer.whileOpen {
                await ended.wait()
                order.record("read, cancelled: \(Task.isCancelled)")
            } ending: {
                order.record("ending")
                ended.open()
                _ = await order.wait(for: 2)
            }
        }
        buffer.stop()
        await open.value
        #expect(order.all == ["ending", "read, cancelled: false"])
    }

    @Test func `Reading that does not end by itself is cancelled`() async throws {
        let buffer = MessageBuffer<[Int]>(prefetch: 10)
        let open = Task {
            await buffer.whileOpen {
                await untilCancelled()
            } ending: {
            }
        }
        buffer.stop()
        await open.value
    }

    @Test func `One waiting task gets the error, and the others get the end`() async throws {
        let buffer = MessageBuffer<[Int]>(prefetch: 10)
        let readers = await waitingReaders(4, of: buffer)
        buffer.fail(refusedByTest)
        var ends = 0
        var failures: [RedisError.Code] = []
        for reader in readers {
            switch await reader.result {
            case .success(let message):
                #expect(message == nil)
                ends += 1
            case .failure(let error): failures.append((error as? RedisError)?.code ?? .serverError)
            }
        }
        #expect(ends == 3)
        #expect(failures == [.wrongType])
    }

    @Test func `A cancelled reader takes no message`() async throws {
        let buffer = MessageBuffer<[Int]>(prefetch: 10)
        let readers = await waitingReaders(2, of: buffer)
        readers[0].cancel()
        let cancelled = try await readers[0].value
        #expect(cancelled == nil)
        buffer.deliver([1])
        let message = try await readers[1].value
        #expect(message == 1)
    }

    @Test func `A reader that was cancelled before it asks takes no message`() async throws {
        let buffer = MessageBuffer<[Int]>(prefetch: 10)
        buffer.deliver([1])
        let gate = Gate()
        let reader = Task {
            await gate.wait()
            return try await buffer.next()
        }
        reader.cancel()
        gate.open()
        let cancelled = try await reader.value
        #expect(cancelled == nil)
        let message = try await buffer.next()
        #expect(message == 1)
    }

    @Test func `Cancellation while messages arrive loses none`() async throws {
        for round in 0..<300 {
            let buffer = MessageBuffer<[Int]>(prefetch: 10)
            let reader = Task { try await buffer.next() }
            let canceller = Task { reader.cancel() }
            buffer.deliver([round])
            await canceller.value
            let first = try await reader.value
            buffer.stop()
            if let first { #expect(first == round) }
        }
    }

    @Test func `Stopping resumes all waiting tasks, and ends the delivery`() async throws {
        let buffer = MessageBuffer<[Int]>(prefetch: 10)
        let readers = await waitingReaders(3, of: buffer)
        buffer.stop()
        for reader in readers {
            let message = try await reader.value
            #expect(message == nil)
        }
        buffer.deliver([1])
        let message = try await buffer.next()
        #expect(message == nil)
        #expect(buffer.isStopping)
        let hasRoom = await buffer.waitForRoom()
        #expect(!hasRoom)
    }

    @Test(arguments: [0, 1, 5]) func `There is room while at most prefetch messages wait`(prefetch: Int) async throws {
        let buffer = MessageBuffer<[Int]>(prefetch: prefetch)
        buffer.deliver(Array(0..<(prefetch + 3)))
        let engine = Task { await buffer.waitForRoom() }
        let order = Journal<String>()
        let observed = Task {
            _ = await engine.value
            order.record("room")
        }
        for _ in 0..<2 { _ = try await buffer.next() }
        order.record("two delivered")
        _ = try await buffer.next()
        await observed.value
        #expect(order.all == ["two delivered", "room"])
    }

    @Test(arguments: [0, 1, 5]) func `The sequential reader makes room, too`(prefetch: Int) async throws {
        let buffer = MessageBuffer<[Int]>(prefetch: prefetch)
        buffer.deliver(Array(0..<(prefetch + 2)))
        let engine = Task { await buffer.waitForRoom() }
        _ = buffer.advance()
        _ = buffer.advance()
        let hasRoom = await engine.value
        #expect(hasRoom)
    }

    @Test func `Readers that empty the buffer wake the engine`() async throws {
        for _ in 0..<200 {
            let buffer = MessageBuffer<[Int]>(prefetch: 1)
            buffer.deliver([1, 2, 3, 4])
            let engine = Task { await buffer.waitForRoom() }
            let readers = (0..<4).map { _ in Task { try await buffer.next() } }
            for reader in readers { _ = try await reader.value }
            let hasRoom = await engine.value
            #expect(hasRoom)
        }
    }

    @Test func `The engine's reading is cancelled when the buffer stops`() async {
        let buffer = MessageBuffer<[Int]>(prefetch: 1)
        let started = Gate()
        let engine = Task {
            await buffer.whileOpen {
                started.open()
                await untilCancelled()
            }
        }
        await started.wait()
        buffer.stop()
        await engine.value
    }

    @Test func `A buffer that has stopped before cancels the engine's reading at once`() async {
        let buffer = MessageBuffer<[Int]>(prefetch: 1)
        buffer.stop()
        await buffer.whileOpen { await untilCancelled() }
    }
}

/// Returns tasks that wait for a message. Each of them already waits when this returns.
private func waitingReaders(_ count: Int, of buffer: MessageBuffer<[Int]>) async -> [Task<Int?, any Error>] {
    var readers: [Task<Int?, any Error>] = []
    for index in 0..<count {
        readers.append(Task { try await buffer.next() })
        while buffer.waitingCount <= index { await Task.yield() }
    }
    return readers
}
