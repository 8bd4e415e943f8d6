import RedisStreams

extension Worker {
    /// Consumers of one group share jobs that take time. They start together with the default configuration, and handle
    /// one message at a time.
    @concurrent
    func shareJobs(_ redis: RedisClient) async throws -> RunReport {
        let tally = SharedTally()
        let shares = (0..<order.consumers).map { _ in SharedCount() }
        let total = order.messages
        let (done, signal) = AsyncStream.makeStream(of: Void.self)
        let stopwatch = Stopwatch()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, share) in shares.enumerated() {
                let consumer = groupConsumer(redis, name: "swift-\(number)")
                group.addTask {
                    try await consumer.run { [order] message in
                        let number = message["number"].flatMap { Int($0) } ?? 0
                        try await Task.sleep(for: .milliseconds(order.jobTime(number)))
                        share.increase()
                        if tally.add(Tally(message.fields)) == total { signal.finish() }
                    }
                }
            }
            for await _ in done {}
            var report = RunReport(
                seconds: stopwatch.seconds,
                cpuSeconds: stopwatch.cpuSeconds,
                tally: tally.total
            )
            group.cancelAll()
            try await group.waitForAll()
            report.shares = shares.map(\.value)
            return report
        }
    }
}
