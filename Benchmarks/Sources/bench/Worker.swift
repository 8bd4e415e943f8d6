import Foundation
import RedisStreams

/// The Swift side of a measurement: a process that does one job and prints a `RunReport`.
struct Worker {
    static let subcommand = "worker"

    /// What is to be done.
    enum Job: String, Sendable {
        case fanOut, fanOutMessages
        case group, groupRun
        case xadd
    }

    private let job: Job
    private let stream: StreamKey
    private let messages: Int

    /// The arguments that make a process of this executable a worker.
    static func arguments(_ job: Job, stream: StreamKey, messages: Int, timeLimit: Int) -> [String] {
        [subcommand, job.rawValue, stream.rawValue, "\(messages)", "\(timeLimit)"]
    }

    /// What stands behind the name of the subcommand.
    init(arguments: [String]) throws {
        guard arguments.count == 4, let job = Job(rawValue: arguments[0]), let messages = Int(arguments[2]),
            let timeLimit = UInt32(arguments[3])
        else { throw Failure("'worker' is for the benchmark itself.") }
        self.job = job
        stream = StreamKey(arguments[1])
        self.messages = messages
        // Ends the process if the job hangs, also when nobody is there any more who would notice.
        alarm(timeLimit)
    }

    func run() async throws {
        try await withRedisClient(try Benchmark.url()) { redis in
            // What is measured begins when there is a connection, as in C.
            try await redis.ping()
            let stopwatch = Stopwatch()
            let tally = try await work(redis)
            let report = RunReport(seconds: stopwatch.seconds, cpuSeconds: stopwatch.cpuSeconds, tally: tally)
            print(String(decoding: try JSONEncoder().encode(report), as: UTF8.self))
        }
    }

    private func work(_ redis: RedisClient) async throws -> Tally {
        switch job {
        case .fanOut: try await readAll(streamConsumer(redis)) { $0.fields }
        case .fanOutMessages: try await readAll(streamConsumer(redis).messages) { $0.fields }
        case .group: try await readGroup(redis)
        case .groupRun: try await runGroup(redis)
        case .xadd: try await add(redis)
        }
    }

    // MARK: Reading

    private func streamConsumer(_ redis: RedisClient) -> StreamConsumer {
        var configuration = StreamConsumer.Configuration()
        configuration.batchSize = 500
        configuration.prefetch = 1500
        return StreamConsumer(redis, stream: stream, from: .beginning, configuration: configuration)
    }

    private func groupConsumer(_ redis: RedisClient) -> GroupConsumer {
        var configuration = GroupConsumer.Configuration()
        configuration.batchSize = 500
        configuration.prefetch = 1500
        return GroupConsumer(
            redis,
            stream: stream,
            group: Benchmark.group,
            consumer: "swift",
            configuration: configuration
        )
    }

    /// Reads until all messages were there, on no actor.
    @concurrent
    private func readAll<Messages: AsyncSequence & Sendable>(
        _ sequence: Messages,
        _ fields: @Sendable (Messages.Element) -> StreamFields
    ) async throws -> Tally {
        var tally = Tally()
        for try await message in sequence {
            tally += Tally(fields(message))
            if tally.messages == messages { break }
        }
        return tally
    }

    /// Reads until all messages were there, and waits until all are acknowledged.
    @concurrent
    private func readGroup(_ redis: RedisClient) async throws -> Tally {
        var tally = Tally()
        for try await message in groupConsumer(redis) {
            tally += Tally(message.fields)
            if tally.messages == messages {
                // Asking for the next one would acknowledge it, but there is none to wait for.
                message.acknowledge()
                break
            }
        }
        while try await redis.xpending(stream, group: Benchmark.group).count > 0 {
            try await Task.sleep(for: .milliseconds(1))
        }
        return tally
    }

    /// Handles up to 16 messages at a time, and stops when all have been there. That acknowledges what is left.
    @concurrent
    private func runGroup(_ redis: RedisClient) async throws -> Tally {
        let tally = SharedTally()
        let consumer = groupConsumer(redis)
        let total = messages
        let (done, signal) = AsyncStream.makeStream(of: Void.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await consumer.run(concurrency: 16) { message in
                    if tally.add(Tally(message.fields)) == total { signal.finish() }
                }
            }
            for await _ in done {}
            group.cancelAll()
            try await group.waitForAll()
        }
        return tally.total
    }

    // MARK: Producing

    /// 256 tasks, of which each awaits one `xadd` after another.
    @concurrent
    private func add(_ redis: RedisClient) async throws -> Tally {
        let tasks = 256
        let (stream, messages) = (stream, messages)
        let added = try await withThrowingTaskGroup(of: Int.self) { group in
            for first in 1...tasks {
                group.addTask {
                    var added = 0
                    for number in stride(from: first, through: messages, by: tasks) {
                        try await redis.xadd(stream, Entry.fields(number))
                        added += 1
                    }
                    return added
                }
            }
            return try await group.reduce(0, +)
        }
        var tally = Tally()
        tally.messages = added
        return tally
    }
}
