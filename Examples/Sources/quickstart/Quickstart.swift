import ArgumentParser
import Foundation
import RedisStreams
import Support

@main
struct Quickstart: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quickstart",
        abstract: "A group of three workers handles a stream; one is killed half-way, and nothing is lost.",
        discussion: """
            A producer adds messages to a stream. Three workers, each a process of its own, handle them as one consumer \
            group: each message goes to one of them. When half of the messages are handled, one worker is killed \
            (kill -9). The other two claim what it had received and not acknowledged. At the end every message is \
            accounted for; the exit code is 0 only if none is lost. Takes less than ten seconds.
            """
    )

    @OptionGroup var server: ServerOptions

    @Option(help: "How many messages to add.")
    var messages = 30_000

    // The workers are this program, too, started with these two options.
    @Option(help: .hidden) var worker: String?
    @Option(help: .hidden) var stream: String?

    func validate() throws {
        guard (1...10_000_000).contains(messages) else {
            throw ValidationError("--messages must be a number from 1 to 10000000.")
        }
    }

    func run() async throws {
        try await explainingErrors {
            try await withRedisClient(server.url, logger: .quiet) { redis in
                if let worker, let stream {
                    try await work(as: worker, on: StreamKey(stream), redis)
                } else {
                    try await demonstrate(redis)
                }
            }
        }
    }
}

private let group = "quickstart"

// MARK: - What a service of your own would do

extension Quickstart {
    /// Handles messages until the worker is asked to end.
    func work(as name: String, on stream: StreamKey, _ redis: RedisClient) async throws {
        var configuration = GroupConsumer.Configuration()
        configuration.claimIdleTime = .seconds(2)  // The default of 30 s is better, and too long for a demonstration.

        let consumer = GroupConsumer(
            redis,
            stream: stream,
            group: group,
            consumer: name,
            configuration: configuration
        )
        try WorkerProcess.reportStart()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                try await consumer.run(concurrency: 4) { message in
                    try await Task.sleep(for: .milliseconds(1))  // This is the work.
                    try Report(message).send()
                    // When the handler returns, the message is acknowledged.
                }
            }
            tasks.addTask { await WorkerProcess.waitUntilEnded() }
            try await tasks.next()
            tasks.cancelAll()
        }
    }

    /// Adds all messages, and never has more than 20,000 waiting to be handled.
    ///
    /// The stream is trimmed at 100,000, far beyond that, so that no message is trimmed before it is handled, not even
    /// one of the killed worker.
    func produce(to stream: StreamKey, _ redis: RedisClient, _ tally: Tally) async throws {
        var configuration = StreamProducer.Configuration()
        configuration.trim = .approximately(maxLength: 100_000)
        try await redis.withProducer(of: stream, configuration: configuration) { producer in
            try await withThrowingDiscardingTaskGroup { receipts in
                // The group is cancelled when a message could not be added, and throws the error at its end.
                for number in 1...messages where !receipts.isCancelled {
                    while await tally.waiting > 20_000 { try await Task.sleep(for: .milliseconds(10)) }
                    let receipt = try await producer.submit(order(number))
                    receipts.addTask { try await confirm(receipt, of: number, producer, tally) }
                }
            }
        }
    }

    private func order(_ number: Int) -> StreamFieldsToAdd { ["order": .integer(number), "item": "book"] }

    /// Waits for the id of a message, and adds the message again if the server has failed meanwhile. If that was after
    /// the message and before its reply, the message is there twice.
    private func confirm(
        _ first: StreamProducer.Receipt,
        of number: Int,
        _ producer: StreamProducer,
        _ tally: Tally
    ) async throws {
        var receipt = first
        for _ in 1...20 {
            let error: RedisError
            do throws(RedisError) {
                let id = try await receipt.id()
                return await tally.produced(id)
            } catch let failure {
                error = failure
            }
            guard error.mayHaveExecuted || error.isRetriable else { throw error }
            try await Task.sleep(for: .milliseconds(250))
            await tally.sentAgain()
            receipt = try await producer.submit(order(number))
        }
        await tally.produced(try await receipt.id())
    }
}

// MARK: - The demonstration around it

extension Quickstart {
    func demonstrate(_ redis: RedisClient) async throws {
        say(try await redis.introduction())
        let tally = Tally(messages: messages)
        try await withTemporaryStream(group, on: redis) { stream in
            // The consumers would create the group, too; created here, it can be inspected from the beginning.
            try await redis.xgroupCreate(stream, group: group, createStream: true)
            // If this process is killed, too, Redis deletes the stream.
            try await redis.expire(stream, after: .seconds(3600))
            do {
                try await withProgress {
                    await tally.progress
                } while: {
                    try await killOneHalfWay(redis, stream, tally)
                }
            } catch is Stalled {
                say("Nothing has happened for 15 seconds: giving up.")
            }
        }
        sayTable(await tally.table)
        say(await tally.conclusion)
        if await tally.lost > 0 { throw ExitCode.failure }
    }

    /// Starts three workers, kills one half-way, and returns when all messages are handled and acknowledged.
    private func killOneHalfWay(_ redis: RedisClient, _ stream: StreamKey, _ tally: Tally) async throws {
        say("Starting three workers, each a process of its own; they form the consumer group '\(group)'.")
        let workers = try (1...3).map { try WorkerProcess(name: "worker-\($0)", stream: stream, url: server.url) }
        try await withThrowingDiscardingTaskGroup { tasks in
            defer { for worker in workers { worker.end() } }
            for worker in workers {
                tasks.addTask { await worker.forEachReport { await tally.handled($0, by: worker.name) } }
            }
            try await wait(tally) { await tally.startedCount >= workers.count }

            say("They are ready. Adding \(messages.of("message")) to the stream '\(stream)'.")
            await tally.start()
            tasks.addTask { try await produce(to: stream, redis, tally) }

            try await wait(tally) { await tally.handledCount >= messages / 2 }
            let victim = workers[1]
            victim.kill()
            await tally.killed(victim.name)
            let held = try await redis.xpending(stream, group: group).consumers.first { $0.name == victim.name }
            say("Half-way: kill -9 \(victim.name), with \((held?.count ?? 0).of("message")) not acknowledged.")

            // Done when all messages are handled and acknowledged.
            try await wait(tally) {
                guard await tally.isComplete else { return false }
                return try await redis.xpending(stream, group: group).count == 0
            }
        }
    }

    private struct Stalled: Error {}

    /// Returns when `condition` holds; throws when nothing has happened for 15 seconds.
    private func wait(_ tally: Tally, until condition: () async throws -> Bool) async throws {
        while try await !condition() {
            try await Task.sleep(for: .milliseconds(10))
            if await tally.lastEvent.duration(to: .now) > .seconds(15) { throw Stalled() }
        }
    }
}

/// Counts what happens to the messages.
actor Tally {
    private let messages: Int
    private var produced: Set<StreamID> = []
    private var handled: Set<StreamID> = []
    private var countOf: [String: Int] = [:]
    private var started: Set<String> = []
    private var reclaimedCount = 0
    private var duplicateCount = 0
    private var sentAgainCount = 0

    private var victim = ""
    private var startTime = ContinuousClock.now
    private var killTime = ContinuousClock.now
    private var lastNewTime = ContinuousClock.now
    private var lastReclaimTime: ContinuousClock.Instant?
    private(set) var lastEvent = ContinuousClock.now

    init(messages: Int) { self.messages = messages }

    func start() { startTime = .now }

    func produced(_ id: StreamID) {
        produced.insert(id)
        lastEvent = .now
    }

    func sentAgain() { sentAgainCount += 1 }

    /// - Parameter reports: None, when the worker has started.
    func handled(_ reports: [Report], by worker: String) {
        lastEvent = .now
        started.insert(worker)
        for report in reports {
            if handled.insert(report.id).inserted { countOf[worker, default: 0] += 1 } else { duplicateCount += 1 }
            if report.isReclaimed {
                reclaimedCount += 1
                lastReclaimTime = lastEvent
            } else {
                lastNewTime = lastEvent
            }
        }
    }

    func killed(_ worker: String) {
        victim = worker
        killTime = .now
    }

    var startedCount: Int { started.count }
    var handledCount: Int { handled.count }
    var waiting: Int { produced.count - handled.count }
    var lost: Int { produced.subtracting(handled).count + messages - produced.count }
    var isComplete: Bool { handled.count >= messages && lost == 0 }

    var progress: String {
        // A message can be handled before its producer knows that it has been added.
        let produced = max(produced.count, handled.count)
        return "produced \(produced.grouped), handled \(handled.count.grouped), reclaimed \(reclaimedCount.grouped)"
    }

    var table: [(name: String, value: String, remark: String)] {
        let shares = countOf.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.grouped)" }
        let time = startTime.duration(to: lastNewTime)
        let newCount = handled.count + duplicateCount - reclaimedCount
        let rate = Int(Double(newCount) / max(0.001, time.inSeconds))
        let takeover = lastReclaimTime.map { killTime.duration(to: $0).rounded } ?? "-"
        let again = (
            "sent again", sentAgainCount.grouped, "the server failed before its reply; some may be there twice"
        )
        return [
            ("produced", produced.count.grouped, ""),
            ("handled", handled.count.grouped, shares.joined(separator: ", ")),
            ("reclaimed", reclaimedCount.grouped, "received by \(victim), and handled by another after its end"),
            ("duplicates", duplicateCount.grouped, "handled by \(victim) as well, but not acknowledged in time"),
            ("lost", lost.grouped, ""),
            ("messages/s", rate.grouped, "\(Self.build); the reclaimed and the wait for them left out"),
            ("takeover", takeover, "from the kill to the last one reclaimed; of that, 2 s must pass before a claim"),
        ] + (sentAgainCount > 0 ? [again] : [])
    }

    /// Figures are lower without optimisation.
    private static var build: String {
        #if DEBUG
        "in a debug build"
        #else
        "in a release build"
        #endif
    }

    var conclusion: String {
        guard lost == 0 else { return "\(lost.of("message")) lost: this must not happen." }
        guard duplicateCount > 0 else { return "Nothing was lost: every message was handled once." }
        return
            "Nothing was lost: every message was handled, \(duplicateCount.grouped) of them twice (at least once, as promised)."
    }
}
