import ArgumentParser
import Logging
import RedisStreams
import ServiceLifecycle
import Support

@main
struct GroupWorker: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "group-worker",
        abstract: "Handles the messages of a stream as one worker of a group, until Ctrl-C.",
        discussion: """
            Start several in several terminals: they share the messages. Stop or kill one: the others claim what it had \
            not finished. The example 'produce' adds messages.
            """
    )

    @OptionGroup var server: ServerOptions

    @Option(help: "The stream to read.")
    var stream = "orders"

    @Option(help: "The group to belong to.")
    var group = "workers"

    @Option(help: "The name of this worker, unique in its group. Default: made of host name and process.")
    var name: String?

    @Option(help: "How many messages to handle at the same time.")
    var concurrency = 8

    @Option(help: ArgumentHelp("How long handling a message takes.", valueName: "milliseconds"))
    var slow = 0

    @Option(help: ArgumentHelp("Claim messages that a worker has not renewed for so long.", valueName: "seconds"))
    var claimAfter = 30

    func validate() throws {
        guard slow >= 0, claimAfter > 0 else { throw ValidationError("--slow and --claim-after must be positive.") }
    }

    func run() async throws {
        try await explainingErrors {
            let redis = try RedisClient(server.url, logger: .quiet)
            let consumer = GroupConsumer(
                redis,
                stream: StreamKey(stream),
                group: group,
                consumer: name,
                configuration: consumerConfiguration
            )
            let worker = Worker(redis: redis, consumer: consumer, concurrency: concurrency, work: .milliseconds(slow))

            // The worker is stopped first, since it comes last: while it finishes, the client still works.
            let services = ServiceGroup(
                services: [redis, worker],
                gracefulShutdownSignals: [.sigint, .sigterm],
                logger: Logger(label: "group-worker")
            )
            try await services.run()
        }
    }

    private var consumerConfiguration: GroupConsumer.Configuration {
        var configuration = GroupConsumer.Configuration()
        configuration.claimIdleTime = .seconds(claimAfter)
        if slow > 0 {
            // Read about a second's work at a time, and leave the rest to the other workers.
            configuration.batchSize = max(1, min(100, concurrency * 1000 / slow))
            configuration.prefetch = 0
        }
        return configuration
    }
}

/// Prints the events of the consumer.
private func report(_ event: ConsumerEvent) {
    switch event {
    case .groupCreated(let position, let wasLost):
        say("The group was \(wasLost ? "lost" : "missing"), and has been created after \(position).")
    case .claimed(let count): say("Claimed \(count.of("message")) whose consumer has not renewed its lease.")
    case .leaseLost(let ids): say("Lost the lease of \(ids.count.of("message")); other workers may handle them.")
    case .retrying(let id, let failures, let delay): say("\(id) has failed \(failures) times; retry in \(delay).")
    case .deadLettered(let id, _, let reason): say("\(id) became a dead letter. \(reason)")
    case .deleted(let ids): say("\(ids.count.of("pending message")) had been deleted from the stream.")
    case .interrupted(let error, _): say("Trying again: \(error.message)")
    case .reconnected: say("Connected again.")
    default: say("\(event)")
    }
}

/// A consumer, and what it does for each message: this is what a service of your own would look like.
struct Worker: Service {
    let redis: RedisClient
    let consumer: GroupConsumer
    let concurrency: Int
    let work: Duration

    func run() async throws {
        say(try await redis.introduction())
        say("\(consumer.name) reads the stream '\(consumer.stream)' for the group '\(consumer.group)'. Ctrl-C ends it.")

        let handled = Counter()
        let redelivered = Counter()
        async let _: Void = { for await event in consumer.events { report(event) } }()
        try await withProgress {
            let growth = handled.growth()
            return growth == 0 ? nil : "\(growth.grouped) messages/s, \(handled.total.grouped) handled"
        } while: {
            try await consumer.run(concurrency: concurrency) { message in
                try await Task.sleep(for: work)
                handled.increment()
                if message.isRedelivered { redelivered.increment() }
                // If the handler returns, the message is acknowledged; if it throws, the message is retried.
            }
        }
        // Here, all handlers have finished, and their messages are acknowledged.
        say("Stopped. Handled \(handled.total.of("message")), \(redelivered.total.grouped) of them redelivered.")
    }
}
