import ArgumentParser
import Logging
import RedisStreams
import ServiceLifecycle
import Support

@main
struct Produce: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "produce",
        abstract: "Adds messages to a stream, as many as are asked for or until Ctrl-C.",
        discussion: """
            Start several in several terminals, and the example 'group-worker' beside them. The stream is trimmed: it keeps \
            about the newest million messages.
            """
    )

    @OptionGroup var server: ServerOptions

    @Option(help: "The stream to add to.")
    var stream = "orders"

    @Option(help: "How many messages to add.")
    var count = 100_000

    @Flag(help: "Go on until Ctrl-C.")
    var forever = false

    @Option(help: "How many messages to add in a second. Default: as many as Redis accepts.")
    var rate: Int?

    func validate() throws {
        guard count > 0 else { throw ValidationError("--count must be above 0.") }
        guard rate.map({ (1...1_000_000).contains($0) }) ?? true else {
            throw ValidationError("--rate must be from 1 to 1000000.")
        }
    }

    func run() async throws {
        try await explainingErrors {
            let redis = try RedisClient(server.url, logger: .quiet)
            let producing = Producing(
                redis: redis,
                stream: StreamKey(stream),
                count: forever ? .max : count,
                rate: rate
            )
            // The producing is stopped first, since it comes last: while it finishes, the client still works.
            let configuration = ServiceGroupConfiguration(
                services: [
                    .init(service: redis),
                    .init(service: producing, successTerminationBehavior: .gracefullyShutdownGroup),
                ],
                gracefulShutdownSignals: [.sigint, .sigterm],
                logger: Logger(label: "produce")
            )
            try await ServiceGroup(configuration: configuration).run()
        }
    }
}

/// Adds messages until there are enough, or until a graceful shutdown begins.
struct Producing: Service {
    let redis: RedisClient
    let stream: StreamKey
    let count: Int
    let rate: Int?

    func run() async throws {
        say(try await redis.introduction())
        say("Adding to the stream '\(stream)'. Ctrl-C ends it.")

        let added = Counter()
        let start = ContinuousClock.now
        defer {
            let time = start.duration(to: .now)
            let rate = Int(Double(added.total) / time.inSeconds)
            say("Added \(added.total.of("message")) in \(time.rounded): \(rate.grouped) messages/s.")
        }
        try await withProgress {
            "\(added.growth().grouped) messages/s, \(added.total.grouped) added"
        } while: {
            try await add(added)
        }
    }

    private func add(_ added: Counter) async throws {
        var configuration = StreamProducer.Configuration()
        configuration.trim = .approximately(maxLength: 1_000_000)
        try await redis.withProducer(of: stream, configuration: configuration) { producer in
            try await withThrowingDiscardingTaskGroup { receipts in
                let start = ContinuousClock.now
                var number = 0
                // The group is cancelled when a message could not be added, and throws the error at its end.
                while number < count, !receipts.isCancelled, !Task.isShuttingDownGracefully {
                    // Waits when the producer's buffer is full.
                    let receipt = try await producer.submit(["order": .integer(number), "item": "book"])
                    receipts.addTask {
                        _ = try await receipt.id()
                        added.increment()
                    }
                    number += 1
                    if let rate { try await pause(until: start + .seconds(number) / rate) }
                }
            }
        }
    }

    /// Waits, but not after a graceful shutdown has begun.
    private func pause(until time: ContinuousClock.Instant) async throws {
        guard time > .now else { return }
        try? await cancelWhenGracefulShutdown {
            try await Task.sleep(until: time, clock: .continuous)
        }
    }
}
