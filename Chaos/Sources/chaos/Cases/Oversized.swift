import ChaosWork
import RedisStreams

/// Among normal entries, some have more bytes or more fields than clients accept.
struct Oversized: ChaosCase {
    let name = "oversized"
    let summary = "entries over RESPLimits among normal ones: with and without dead letters, and for a fan-out reader"
    let control = Control(off: "the consumer: a plain loop of XREADGROUP and XACK", sign: "were not handled")

    private static let stream = StreamKey("{s}:in")
    private static let dead = StreamKey("{s}:dead")

    func run(_ scene: Scene) async throws -> Outcome {
        try await ChaosServer.with(scene.server) { server in
            try await server.withController { controller in
                // Several batches of normal entries fit.
                try await server.withClient {
                    $0.connection.limits.maxReplyBytes = 256 << 10
                    $0.connection.limits.maxArrayElements = 5_000
                } _: { redis in
                    try await play(scene, redis, controller)
                }
            }
        }
    }

    private func play(_ scene: Scene, _ redis: RedisClient, _ controller: RedisClient) async throws -> Outcome {
        let (count, large) = (scene.count(50_000, quick: 5_000), scene.count(100, quick: 10))
        var outcome = Outcome(planned: large)
        let readers = [
            Reader("with-dead-letters", redis, Self.stream, deadLetter: Self.dead, isNaive: scene.isControl),
            Reader("without", redis, Self.stream, isNaive: scene.isControl),
            Reader(fanOut: redis, Self.stream),
        ]
        for reader in readers.dropLast() {
            try await controller.xgroupCreate(Self.stream, group: reader.name, from: .beginning, createStream: true)
        }
        let reading = readers.map { reader in Task { await reader.run() } }
        defer { for task in reading { task.cancel() } }
        let oversized = try await add(count, large: large, controller, &outcome)
        // Each large entry costs refused replies and new connections, and its neighbours are read one by one.
        let limit = Duration.seconds(15) + (scene.isControl ? .zero : .seconds(large))
        for reader in readers { await check(reader, count, within: limit, &outcome) }
        if !scene.isControl { await checkEnds(of: oversized, readers, controller, &outcome) }
        for task in reading { task.cancel() }
        try await bounded("the readers end when they are cancelled", within: .seconds(10)) {
            for task in reading { await task.value }
        }
        for reader in readers { outcome.problems += reader.problems }
        return outcome
    }

    /// Adds normal entries with large ones in between, which have too many bytes or too many fields in turn. Returns
    /// the ids of the large ones.
    private func add(
        _ count: Int,
        large: Int,
        _ controller: RedisClient,
        _ outcome: inout Outcome
    ) async throws -> [StreamID] {
        var ids: [StreamID] = []
        let text = String(repeating: "x", count: 512 << 10)
        for part in 0..<large {
            let numbers = count * part / large..<count * (part + 1) / large
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in numbers {
                    group.addTask { _ = try await controller.xadd(Self.stream, ["n": .integer(number)]) }
                }
                try await group.waitForAll()
            }
            let many = StreamFieldsToAdd((0..<3_000).map { .init("f\($0)", .integer($0)) })
            let fields = part.isMultiple(of: 2) ? ["large": .text(text)] : many
            ids.append(try await controller.xadd(Self.stream, fields))
            outcome.fired += 1
        }
        // The last entry is a normal one, which has to be handled after the last large one.
        _ = try await controller.xadd(Self.stream, ["n": .integer(count)])
        return ids
    }

    private func check(_ reader: Reader, _ count: Int, within limit: Duration, _ outcome: inout Outcome) async {
        let numbers = Array(0...count)
        let time = try? await eventually("all normal messages are handled", within: limit) {
            reader.handled.missing(of: numbers).isEmpty
        }
        if let time { outcome.recovered(in: time) }
        let missing = reader.handled.missing(of: numbers).count
        outcome.tried += numbers.count
        outcome.lost += missing
        outcome.duplicated += reader.handled.duplicates
        outcome.demand(missing == 0, "\(reader.name): \(missing) normal messages were not handled")
    }

    /// Checks what became of the large entries. With a dead letter stream, each becomes a dead letter. Without one,
    /// each stays pending, since the consumer never acknowledges it.
    private func checkEnds(
        of oversized: [StreamID],
        _ readers: [Reader],
        _ controller: RedisClient,
        _ outcome: inout Outcome
    ) async {
        for (reader, expected) in zip(readers, [[], oversized]) {
            var pending: [StreamID] = []
            let isRight = try? await eventually("exactly the expected messages are pending", within: .seconds(15)) {
                pending = try await controller.xpending(Self.stream, group: reader.name, count: 100_000).map(\.id)
                return pending == expected
            }
            outcome.demand(isRight != nil, "\(reader.name): \(pending.count) are pending, not \(expected.count)")
        }
        let deadLetters = (try? await controller.xrange(Self.dead)).map { Array($0) } ?? []
        let origins = deadLetters.compactMap { $0[DeadLetter.Field.id.rawValue] }.sorted()
        outcome.demand(
            origins == oversized.map { "\($0)" }.sorted(),
            "\(deadLetters.count) dead letters, not one for each of the \(oversized.count) large entries"
        )
    }
}

/// A group consumer, a fan-out reader, or a plain loop that reads the stream.
private final class Reader: Sendable {
    let name: String
    let handled = Handled()
    private let failures = Failures()
    private let body: @Sendable (Handled) async throws -> Void

    /// A consumer with its own group, or a plain loop instead.
    init(_ name: String, _ redis: RedisClient, _ stream: StreamKey, deadLetter: StreamKey? = nil, isNaive: Bool) {
        self.name = name
        if isNaive {
            body = { try await Self.consumeNaively(redis, stream, group: name, $0) }
            return
        }
        var configuration = GroupConsumer.Configuration.chaotic
        // Without dead letters each large entry is tried again and again, and each attempt costs a refused reply and a
        // connection: a hundred of them in short turns would be all that the machine does.
        configuration.retry = .exponential(from: .milliseconds(50), upTo: .seconds(5))
        configuration.deadLetter = deadLetter.map { DeadLetter($0, maxAttempts: 3) }
        let consumer = GroupConsumer(redis, stream: stream, group: name, configuration: configuration)
        body = { handled in
            try await consumer.run(concurrency: 4) { message in
                if let number = message["n"].flatMap({ Int($0) }) { handled.add(number) }
            }
        }
    }

    /// A reader without a group.
    init(fanOut redis: RedisClient, _ stream: StreamKey) {
        name = "fan-out"
        var configuration = StreamConsumer.Configuration()
        configuration.block = .milliseconds(500)
        configuration.backoff.limit = .milliseconds(200)
        let consumer = StreamConsumer(redis, stream: stream, from: .beginning, configuration: configuration)
        body = { handled in
            for try await message in consumer {
                if let number = message["n"].flatMap({ Int($0) }) { handled.add(number) }
            }
        }
    }

    /// Why it has ended before it was cancelled.
    var problems: [String] { failures.all }

    func run() async {
        do { try await body(handled) } catch is CancellationError { return } catch {
            if (error as? RedisError)?.code != .cancelled { failures.add("\(name) ended: \(error)") }
        }
    }

    private static func consumeNaively(
        _ redis: RedisClient,
        _ stream: StreamKey,
        group: String,
        _ handled: Handled
    ) async throws {
        while !Task.isCancelled {
            let batches = try await redis.xreadgroup(
                group: group,
                consumer: "plain",
                streams: [.init(stream, .new)],
                block: .milliseconds(500)
            )
            for message in batches.joined() {
                if let number = message["n"].flatMap({ Int($0) }) { handled.add(number) }
                try await redis.xack(stream, group: group, ids: [message.id])
            }
        }
    }
}
