import RedisStreams

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

extension Worker {
    /// Iterates a consumer with the default configuration, and measures the time from XADD to the body of the loop.
    @concurrent
    func receive(_ redis: RedisClient) async throws -> RunReport {
        let stopwatch = Stopwatch()
        var tally = Tally()
        var latencies: [Int] = []
        latencies.reserveCapacity(order.messages)
        for try await message in groupConsumer(redis) {
            latencies.append(Self.age(of: message))
            tally += Tally(message.fields)
            if tally.messages == order.messages {
                message.acknowledge()
                break
            }
        }
        try await acknowledged(redis)
        return report(stopwatch, tally, latencies)
    }

    /// The same with `run`, and the handler on the event loop, which is the fastest way.
    @concurrent
    func receiveInRun(_ redis: RedisClient) async throws -> RunReport {
        let stopwatch = Stopwatch()
        let tally = SharedTally()
        let latencies = SharedList()
        let consumer = groupConsumer(redis)
        let total = order.messages
        let (done, signal) = AsyncStream.makeStream(of: Void.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await consumer.run(on: .eventLoop) { message in
                    let age = Self.age(of: message)
                    latencies.append(age)
                    if tally.add(Tally(message.fields)) == total { signal.finish() }
                }
            }
            for await _ in done {}
            group.cancelAll()
            try await group.waitForAll()
        }
        return report(stopwatch, tally.total, latencies.values)
    }

    private func report(_ stopwatch: Stopwatch, _ tally: Tally, _ latencies: [Int]) -> RunReport {
        var report = RunReport(seconds: stopwatch.seconds, cpuSeconds: stopwatch.cpuSeconds, tally: tally)
        report.latencies = latencies
        return report
    }

    /// How long ago the message was sent, by the clock that all processes share.
    private static func age(of message: GroupMessage) -> Int {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        let now = time.tv_sec * 1_000_000_000 + time.tv_nsec
        return message["sent"].flatMap { Int($0) }.map { now - $0 } ?? .max
    }
}
