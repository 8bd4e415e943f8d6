package import Logging
import Foundation
import RedisStreams

/// The Swift side of a measurement: a process that does one job and prints a `RunReport`.
package struct Worker: Sendable {
    package static let subcommand = "worker"

    let order: Order
    let stream: StreamKey

    package init(_ order: Order) {
        self.order = order
        stream = StreamKey(order.stream)
    }

    /// The server to use.
    package static func url() throws -> String {
        guard let url = ProcessInfo.processInfo.environment["REDIS_URL"] else {
            throw Failure("REDIS_URL is not set. 'make bench' runs this on a private Redis.")
        }
        return url
    }

    /// Logs only errors, such as one that ends a consumer.
    package static let quiet: Logger = {
        var logger = Logger(label: "redis-streams")
        logger.logLevel = .error
        return logger
    }()

    /// - Parameter allocations: Returns the number of allocations so far; `nil` if they are not counted.
    package func run(counting allocations: (() -> Int)? = nil) async throws {
        // Ends the process if the job hangs, even if the process that started it is gone.
        alarm(order.timeLimit)
        try await withRedisClient(try Self.url(), logger: Self.quiet) { redis in
            // The measurement begins once there is a connection, as in C.
            try await redis.ping()
            let before = allocations?()
            var report = try await work(redis)
            if let before, let after = allocations?() { report.allocations = after - before }
            print(String(decoding: try JSONEncoder().encode(report), as: UTF8.self))
        }
    }

    private func work(_ redis: RedisClient) async throws -> RunReport {
        switch order.job {
        case .fanOut: try await timed { try await readAll(streamConsumer(redis)) { $0.fields } }
        case .fanOutMessages: try await timed { try await readAll(streamConsumer(redis).messages) { $0.fields } }
        case .group: try await timed { try await readGroup(redis) }
        case .groupRun: try await timed { try await runGroup(redis) }
        case .groupShared: try await timed { try await shareGroup(redis) }
        case .xadd: try await timed { try await add(redis) }
        case .producer: try await timed { try await submit(redis) }
        case .latency: try await receive(redis)
        case .latencyRun: try await receiveInRun(redis)
        case .idleConsumers: try await idle(redis)
        case .backlog: try await readPasses(redis)
        case .slowHandler: try await handleSlowly(redis)
        case .fairness, .fairnessMixed: try await shareJobs(redis)
        }
    }

    private func timed(_ job: () async throws -> Tally) async throws -> RunReport {
        let stopwatch = Stopwatch()
        let tally = try await job()
        return RunReport(seconds: stopwatch.seconds, cpuSeconds: stopwatch.cpuSeconds, tally: tally)
    }

    // MARK: Consumers

    func streamConsumer(_ redis: RedisClient) -> StreamConsumer {
        var configuration = StreamConsumer.Configuration()
        if let batch = order.batch {
            configuration.batchSize = batch
            configuration.maxBatchSize = batch
            configuration.prefetch = 3 * batch
        }
        return StreamConsumer(redis, stream: stream, from: .beginning, configuration: configuration)
    }

    func groupConsumer(_ redis: RedisClient, group: String = Order.group, name: String = "swift") -> GroupConsumer {
        var configuration = GroupConsumer.Configuration()
        if let batch = order.batch {
            configuration.batchSize = batch
            configuration.prefetch = 3 * batch
        }
        return GroupConsumer(redis, stream: stream, group: group, consumer: name, configuration: configuration)
    }

    /// Waits until no message up to an id is pending any more.
    func acknowledged(_ redis: RedisClient, group: String = Order.group, upTo last: StreamID? = nil) async throws {
        let upper = last.map { RangeBound.including($0) } ?? .unbounded
        while try await !redis.xpending(stream, group: group, to: upper, count: 1).isEmpty {
            try await Task.sleep(for: .milliseconds(1))
        }
    }
}
