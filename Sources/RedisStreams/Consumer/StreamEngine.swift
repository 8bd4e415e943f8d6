internal import Logging
internal import NIOCore

/// Performs what `StreamConsumerStateMachine` decides, and delivers to the mailbox.
actor StreamEngine: ConsumerEngine {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    private let consumer: StreamConsumer
    let mailbox: Mailbox<MessageBatch>
    let logger: Logger
    private var machine: StreamConsumerStateMachine
    var pipeline = Pipeline()
    /// Whether a read is on its way: the next one begins where it ends.
    private var isReading = false

    nonisolated var pool: ConnectionPool { consumer.client.pool }
    nonisolated var backoff: Backoff { consumer.configuration.backoff }

    init(consumer: StreamConsumer, mailbox: Mailbox<MessageBatch>) {
        self.consumer = consumer
        self.mailbox = mailbox
        eventLoop = consumer.client.pool.nextEventLoop()
        machine = StreamConsumerStateMachine(consumer.streams, size: consumer.configuration.size)
        logger = consumer.client.logger
    }

    /// Serves the mailbox until it stops, or until something fails that trying again does not mend.
    nonisolated func run() async {
        await mailbox.whileOpen { await self.readLoop() }
    }

    func leased(_ connection: RedisConnection) {}

    func takeStep(on connection: RedisConnection) async throws(RedisError) -> Bool {
        guard case .findLast(let stream) = machine.next() else { return false }
        machine.foundLast(try await connection.lastGeneratedID(of: stream), of: stream)
        return true
    }

    func readOn(on connection: RedisConnection) {
        readOn(besides: 0, on: connection)
    }

    /// - Parameter arrived: How many messages have arrived and are not in the mailbox yet.
    private func readOn(besides arrived: Int, on connection: RedisConnection) {
        guard !isReading, pipeline.isRunning, mailbox.hasRoom(besides: arrived) else { return }
        guard case .read(let positions) = machine.next() else { return }
        let command = XREAD(positions, count: machine.count, block: consumer.configuration.block)
        isReading = true
        begin(command, on: connection) { (engine, outcome) throws(RedisError) in
            engine.isReading = false
            engine.deliver(try command.result(of: outcome).get(), on: connection)
        }
        // While there is a backlog the server shall work at once; else first comes who waits for the message.
        if arrived > 0 { connection.assumeIsolated { $0.flush() } }
    }

    private func deliver(_ batches: [MessageBatch], on connection: RedisConnection) {
        let isBacklog = machine.read(batches)
        let count = batches.reduce(0) { $0 + $1.count }
        // First the next read: the server works while these are handled. But not before what somebody waits for.
        if isBacklog { readOn(besides: count, on: connection) }
        for batch in batches { mailbox.deliver(batch, bytes: batch.byteCount) }
    }

    func paused() {}

    func failed(_ error: RedisError) -> FailureReaction { machine.failed(error) }

    func interrupted(by error: RedisError, retryAfter delay: Duration) {}

    /// By the end of the client: a loop never just ends.
    func cancelled() {
        mailbox.fail(PoolStateMachine<RedisConnection>.shutDown)
    }
}
