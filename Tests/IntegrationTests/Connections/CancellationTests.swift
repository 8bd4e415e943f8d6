import RedisStreams
import Testing

extension IntegrationTests {
    /// What the cancellation of a task does to the shared connection, and to one that the task has leased.
    @Suite struct Cancellations {
        @Test("after a thousand cancellations, replies still match", arguments: TestServer.all, Route.allCases)
        func repliesKeepTheirPlace(binary: ServerBinary, route: Route) async throws {
            try await TestServer.shared(binary).withClient(route) { redis in
                try await redis.ping()
                var random = SystemRandomNumberGenerator()
                var cancelled = 0
                for round in 0..<10 {
                    let tasks = (0..<200).map { number in
                        let value = "\(round)-\(number)"
                        return (
                            value,
                            Task { () async -> Result<String?, any Error> in
                                do {
                                    let replies = try await redis.pipeline(
                                        RawCommand("ECHO", .text(value)),
                                        EVAL("return ARGV[1]", arguments: [.text(value)])
                                    )
                                    let (first, second) = (try replies.0.get().string, try replies.1.get().string)
                                    return .success(first == second ? first : "\(first ?? "") and \(second ?? "")")
                                } catch {
                                    return .failure(error)
                                }
                            }
                        )
                    }
                    for index in tasks.indices.shuffled().prefix(100) {
                        if Bool.random(using: &random) { await Task.yield() }
                        tasks[index].1.cancel()
                    }
                    for (value, task) in tasks {
                        switch await task.value {
                        case .success(let reply): #expect(reply == value)
                        case .failure(let error):
                            #expect((error as? RedisError)?.code == .cancelled)
                            #expect(task.isCancelled)
                            cancelled += 1
                        }
                    }
                }
                #expect(cancelled > 0)
                let echo = try await redis.send("ECHO", "end")
                #expect(echo.string == "end")
            }
        }

        @Test(
            "a cancelled blocking read closes its own connection, and no other",
            arguments: TestServer.all,
            Route.allCases
        )
        func blockingRead(binary: ServerBinary, route: Route) async throws {
            let name = "cancel-\(UInt32.random(in: 0...UInt32.max))"
            try await TestServer.shared(binary).withClient(route) {
                $0.connection.clientName = name
            } _: { redis in
                let streams = (0..<5).map { StreamKey.unique("s\($0)") }
                let tasks = streams.map { stream in
                    Task { try await redis.xread([StreamOffset(stream)], block: .seconds(30)) }
                }
                let blocked = {
                    try await redis.connections(named: name).filter { $0["flags"]?.contains("b") == true }
                        .compactMap { $0["id"] }.sorted()
                }
                try await eventually("five readers are blocked") { try await blocked().count == 5 }
                let before = try await Set(redis.connections(named: name).compactMap { $0["id"] })

                let start = ContinuousClock.now
                tasks[2].cancel()
                await expectError(.cancelled, within: .seconds(1)) { try await tasks[2].value }
                #expect(ContinuousClock.now - start < .seconds(1))
                try await eventually("one connection is closed") {
                    try await redis.connections(named: name).count == before.count - 1
                }
                let after = try await Set(redis.connections(named: name).compactMap { $0["id"] })
                #expect(after.isSubset(of: before))
                #expect(try await blocked().count == 4)

                // The other readers get their messages.
                for index in [0, 1, 3, 4] {
                    let id = try await redis.xadd(streams[index], ["n": .integer(index)])
                    let message = try await tasks[index].value.first?.first
                    #expect(message?.id == id)
                    #expect(message?["n"] == "\(index)")
                }
            }
        }

        @Test("blocked readers do not delay other commands", arguments: TestServer.all)
        func waitingReaders(binary: ServerBinary) async throws {
            let name = "blocked-\(UInt32.random(in: 0...UInt32.max))"
            try await TestServer.shared(binary).withClient {
                $0.connection.clientName = name
            } _: { redis in
                let stream = StreamKey.unique()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<20 {
                        group.addTask { _ = try await redis.xread([StreamOffset(stream)], block: .seconds(30)) }
                    }
                    let countBlocked = {
                        try await redis.connections(named: name).filter { $0["flags"]?.contains("b") == true }.count
                    }
                    try await eventually("twenty readers are blocked") { try await countBlocked() == 20 }
                    let start = ContinuousClock.now
                    var times: [Duration] = []
                    for _ in 0..<200 {
                        let begin = ContinuousClock.now
                        try await redis.ping()
                        times.append(ContinuousClock.now - begin)
                    }
                    let total = ContinuousClock.now - start
                    // The server answered all of them while every reader was still blocked.
                    let stillBlocked = try await countBlocked()
                    #expect(stillBlocked == 20)
                    times.sort()
                    #expect(times[197] < .seconds(1))
                    #expect(total < .seconds(10))
                    try await redis.xadd(stream, ["n": 1])
                    try await group.waitForAll()
                }
            }
        }

        @Test("waiting for a connection can be cancelled, and times out", arguments: TestServer.all)
        func waitingForALease(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient {
                $0.maxLeasedConnections = 1
                $0.acquireTimeout = .milliseconds(300)
            } _: { redis in
                let stream = StreamKey.unique()
                async let first = redis.xread([StreamOffset(stream)], block: .seconds(20))
                try await eventually("the read is blocked") {
                    try await redis.info("clients")["blocked_clients"] != "0"
                }
                let error = await expectError(.connectionUnavailable, within: .seconds(2)) {
                    try await redis.xread([StreamOffset(stream)], block: .seconds(20))
                }
                #expect(error?.message.contains("maxLeasedConnections") == true)
                let waiting = Task { try await redis.xread([StreamOffset(stream)], block: .seconds(20)) }
                waiting.cancel()
                await expectError(.cancelled, within: .seconds(1)) { try await waiting.value }
                try await redis.xadd(stream, ["n": 1])
                let batches = try await first
                #expect(batches.count == 1)
                let again = try await redis.xread([StreamOffset(stream)], block: .seconds(20))
                #expect(again.count == 1)
            }
        }

        @Test("the end of a client fails waiting reads", arguments: TestServer.all)
        func shutDown(binary: ServerBinary) async throws {
            let server = try await TestServer.shared(binary)
            let client = try RedisClient(server.configuration(.tcp))
            let running = Task { try await client.run() }
            try await client.ping()
            let read = Task { try await client.xread([StreamOffset(.unique())], block: .seconds(30)) }
            try await eventually("the read is blocked") { try await client.info("clients")["blocked_clients"] != "0" }
            running.cancel()
            _ = try? await running.value
            await expectError(.clientShutDown, within: .seconds(1)) { try await client.ping() }
            read.cancel()
            await expectError(.cancelled, .connectionClosed, within: .seconds(2)) { try await read.value }
        }
    }
}
