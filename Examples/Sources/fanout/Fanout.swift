import ArgumentParser
import RedisStreams
import Support

@main
struct Fanout: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fanout",
        abstract: "Two readers of one stream: each of them sees every message, in order.",
        discussion: """
            A producer adds messages to a stream. One reader follows it from the start; the other joins when half of the \
            messages have been added, and still begins with the first one. The exit code is 0 only if both have seen \
            everything. Takes a few seconds.
            """
    )

    @OptionGroup var server: ServerOptions

    @Option(help: "How many messages to add.")
    var messages = 50_000

    func validate() throws {
        guard (2...10_000_000).contains(messages) else {
            throw ValidationError("--messages must be a number from 2 to 10000000.")
        }
    }

    func run() async throws {
        try await explainingErrors {
            try await withRedisClient(server.url, logger: .quiet) { redis in
                say(try await redis.introduction())
                try await withTemporaryStream("fanout", on: redis) { stream in
                    try await demonstrate(redis, stream)
                }
            }
        }
    }

    /// Reads from the first message to the last one, and returns the ids of all.
    private func read(_ stream: StreamKey, _ redis: RedisClient, _ count: Counter) async throws -> [StreamID] {
        // If a message is missing, the loop would wait for it for ever.
        try await cancelledWhenIdle(count) {
            var ids: [StreamID] = []
            for try await message in StreamConsumer(redis, stream: stream, from: .beginning) {
                ids.append(message.id)
                count.increment()
                if message["number"] == "\(messages)" { break }
            }
            return ids
        }
    }

    /// Adds the messages with these numbers, and returns their ids.
    private func add(
        _ numbers: ClosedRange<Int>,
        to stream: StreamKey,
        _ redis: RedisClient,
        _ count: Counter
    ) async throws -> [StreamID] {
        try await redis.withProducer(of: stream) { producer in
            var receipts: [StreamProducer.Receipt] = []
            for number in numbers {
                receipts.append(try await producer.submit(["number": .integer(number)]))
            }
            var ids: [StreamID] = []
            for receipt in receipts {
                ids.append(try await receipt.id())
                count.increment()
            }
            return ids
        }
    }

    private func demonstrate(_ redis: RedisClient, _ stream: StreamKey) async throws {
        say("Adding \(messages.of("message")) to the stream '\(stream)', which two readers follow.")

        let counts = (added: Counter(), early: Counter(), late: Counter())
        let half = messages / 2
        let (added, early, late) = try await withProgress {
            "added \(counts.added.total.grouped), read by the early reader \(counts.early.total.grouped), "
                + "by the late one \(counts.late.total.grouped)"
        } while: {
            async let early = read(stream, redis, counts.early)
            let firstHalf = try await add(1...half, to: stream, redis, counts.added)
            // If this process is killed, Redis deletes the stream.
            try await redis.expire(stream, after: .seconds(3600))
            async let late = read(stream, redis, counts.late)
            let secondHalf = try await add(half + 1...messages, to: stream, redis, counts.added)
            return try await (firstHalf + secondHalf, early, late)
        }
        sayTable([
            ("added", added.count.grouped, ""),
            ("seen by the early reader", early.count.grouped, Self.remark(early, added)),
            ("seen by the late reader", late.count.grouped, Self.remark(late, added)),
        ])
        guard early == added, late == added else {
            say("The readers have not seen exactly what was added: this must not happen.")
            throw ExitCode.failure
        }
        say("Both readers have seen every message once, in the order of the stream.")
    }

    private static func remark(_ seen: [StreamID], _ added: [StreamID]) -> String {
        let missing = Set(added).subtracting(seen).count
        if missing > 0 { return "\(missing.grouped) missing" }
        return seen == added ? "all, in order" : "all, but not once each in order"
    }
}
