import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

/// How the consumers of a group share jobs that take time.
@Suite(.limitedTime) struct FairnessTests {
    @Test func `Three consumers share sixty jobs of a quarter of a second evenly`() async throws {
        let (seconds, shares) = try await handle(Array(repeating: .milliseconds(250), count: 60))
        #expect(seconds < 5 * 1.15)
        #expect(shares.allSatisfy { $0 >= 15 }, "\(shares)")
    }

    @Test func `Fast jobs with slow ones among them finish in nearly the shortest possible time`() async throws {
        let jobs = (0..<300).map { Duration.milliseconds($0 % 20 == 7 ? 2000 : 1) }
        let ideal = jobs.reduce(.zero, +) / .seconds(3)
        let (seconds, shares) = try await handle(jobs)
        #expect(seconds < ideal * 1.25, "\(shares)")
    }

    @Test func `A busy consumer without prefetch holds no job that an idle one could handle`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            var configuration = GroupConsumer.Configuration()
            configuration.batchSize = 1
            configuration.prefetch = 0
            let handled = Journal<String>()
            let gate = Gate()
            func start(_ name: String) -> Task<Void, any Error> {
                let consumer = GroupConsumer(
                    redis,
                    stream: "jobs",
                    group: "workers",
                    consumer: name,
                    configuration: configuration
                )
                return Task {
                    try await consumer.run { message in
                        handled.record("\(name) \(message.id)")
                        if name == "busy" { await gate.wait() }
                    }
                }
            }
            try await redis.xadd("jobs", ["n": "1"], id: .id(StreamID(milliseconds: 1)))
            try await redis.xadd("jobs", ["n": "2"], id: .id(StreamID(milliseconds: 2)))
            let busy = start("busy")
            _ = await handled.wait(for: 1)
            await server.clock.calmDown()
            let idle = start("idle")
            #expect(await handled.wait(for: 2) == ["busy 1-0", "idle 2-0"])
            gate.open()
            for task in [busy, idle] {
                task.cancel()
                _ = await server.clock.advance(by: .milliseconds(100)) { await task.result }
            }
        }
    }

    @Test func `A message that waited for a third of a lease goes to a free consumer, without a crash`() async throws {
        let server = InMemoryRedis()
        try await server.withClient { redis in
            for number in 1...3 { try await redis.xadd("jobs", ["n": "\(number)"]) }
            let handled = Journal<String>()
            let gate = Gate()
            func consumer(_ name: String) -> GroupConsumer {
                var configuration = GroupConsumer.Configuration()
                configuration.claimJitter = 0
                // The consumer prefetches as if its handlers were fast.
                configuration.prefetchTime = .seconds(3600)
                return GroupConsumer(
                    redis,
                    stream: "jobs",
                    group: "workers",
                    consumer: name,
                    configuration: configuration
                )
            }
            let (stuck, free) = (consumer("stuck"), consumer("free"))
            let tasks = [
                Task {
                    try await stuck.run { message in
                        handled.record("stuck \(message["n"] ?? "")")
                        await gate.wait()
                    }
                }
            ]
            _ = await handled.wait(for: 1)
            await server.clock.calmDown()
            #expect(stuck.snapshot().handling == 1)
            #expect(stuck.snapshot().waiting == 2)
            let second = Task {
                try await free.run { handled.record("free \($0["n"] ?? ""), crashes \($0.crashes)") }
            }
            for _ in 0..<15 {
                await server.clock.advance(by: .seconds(1))
                await server.clock.calmDown()
            }
            #expect(handled.all == ["stuck 1", "free 2, crashes 0", "free 3, crashes 0"])
            #expect(stuck.counters.returned == 2)
            #expect(stuck.counters.failures == 0)
            #expect(stuck.snapshot().oldestHandling == .seconds(15))
            gate.open()
            for task in tasks + [second] {
                task.cancel()
                _ = await server.clock.advance(by: .milliseconds(100)) { await task.result }
            }
        }
    }

    /// Three consumers that start together handle jobs, one at a time each. Returns after how many seconds the last job
    /// has ended, and how many each consumer has handled.
    private func handle(_ jobs: [Duration]) async throws -> (seconds: Double, shares: [Int]) {
        let server = InMemoryRedis()
        let eventLoop = server.clock.eventLoop
        return try await server.withClient { redis in
            for number in jobs.indices { try await redis.xadd("jobs", ["n": "\(number)"]) }
            let handled = Journal<Int>()
            let tasks = (0..<3).map { number in
                Task {
                    let consumer = GroupConsumer(redis, stream: "jobs", group: "workers", consumer: "\(number)")
                    // On the event loop, so that the clock advances only when no task can run.
                    try await consumer.run(on: .eventLoop) { message in
                        await eventLoop.sleep(for: message["n"].flatMap { Int($0) }.map { jobs[$0] } ?? .zero)
                        handled.record(number)
                    }
                }
            }
            let start = server.clock.elapsed
            while handled.all.count < jobs.count, server.clock.elapsed - start < .seconds(60) {
                await server.clock.advance(by: .milliseconds(1))
                for _ in 0..<5 {
                    await server.clock.settle()
                    await Task.yield()
                }
            }
            let seconds = (server.clock.elapsed - start) / .seconds(1)
            for task in tasks { task.cancel() }
            for task in tasks { _ = await server.clock.advance(by: .milliseconds(100)) { await task.result } }
            let all = handled.all
            return (seconds, (0..<3).map { number in all.count { $0 == number } })
        }
    }
}
