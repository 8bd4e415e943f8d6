import Foundation
import RedisStreams

extension Worker {
    /// Runs many consumers that wait for messages, and measures memory, threads and CPU time. Then each handles a
    /// message.
    @concurrent
    func idle(_ redis: RedisClient) async throws -> RunReport {
        let seen = SharedCount()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for stream in order.idleStreams {
                for name in order.idleGroups {
                    group.addTask {
                        let consumer = GroupConsumer(redis, stream: StreamKey(stream), group: name, consumer: "swift")
                        for try await message in consumer where message["number"] == "1" {
                            seen.increase()
                        }
                    }
                }
            }
            try await settle(redis)
            let stopwatch = Stopwatch()
            try await Task.sleep(for: .seconds(order.seconds))
            var report = RunReport(seconds: stopwatch.seconds, cpuSeconds: stopwatch.cpuSeconds, tally: Tally())
            let status = try ProcessStatus()
            (report.resident, report.threads) = (status.resident, status.threads)

            // A message in each stream reaches each of its groups, and so each consumer.
            let entry = Entry(payload: order.payload)
            for stream in order.idleStreams { try await redis.xadd(StreamKey(stream), entry.fields(1)) }
            while seen.value < order.consumers { try await Task.sleep(for: .milliseconds(10)) }
            while try await !allAcknowledged(redis) { try await Task.sleep(for: .milliseconds(10)) }
            group.cancelAll()
            try await group.waitForAll()
            report.messages = seen.value
            return report
        }
    }

    /// Waits until all consumers are blocked, and until opening their connections costs no more CPU time.
    private func settle(_ redis: RedisClient) async throws {
        while try await (redis.info("clients")["blocked_clients"].flatMap { Int($0) } ?? 0) < order.consumers {
            try await Task.sleep(for: .milliseconds(50))
        }
        try await Task.sleep(for: .seconds(2))
    }

    private func allAcknowledged(_ redis: RedisClient) async throws -> Bool {
        for stream in order.idleStreams {
            let groups = try await redis.xinfoGroups(StreamKey(stream))
            guard groups.allSatisfy({ $0.pendingCount == 0 }) else { return false }
        }
        return true
    }

    /// Consumes with the default configuration and a handler that takes 10 ms, and measures the memory.
    @concurrent
    func handleSlowly(_ redis: RedisClient) async throws -> RunReport {
        let before = try ProcessStatus().resident
        let stopwatch = Stopwatch()
        let consumer = groupConsumer(redis)
        return try await withThrowingTaskGroup(of: (Tally, StreamID).self) { group in
            group.addTask {
                var (tally, last) = (Tally(), StreamID.zero)
                for try await message in consumer {
                    try? await Task.sleep(for: .milliseconds(10))
                    tally += Tally(message.fields)
                    last = message.id
                }
                return (tally, last)
            }
            var peak = before
            while stopwatch.seconds < order.seconds {
                try await Task.sleep(for: .milliseconds(100))
                peak = max(peak, try ProcessStatus().resident)
            }
            group.cancelAll()
            let (tally, last) = try await group.next() ?? (Tally(), .zero)
            try await acknowledged(redis, upTo: last)
            var report = RunReport(seconds: stopwatch.seconds, cpuSeconds: stopwatch.cpuSeconds, tally: tally)
            (report.residentBefore, report.resident) = (before, peak)
            return report
        }
    }
}
