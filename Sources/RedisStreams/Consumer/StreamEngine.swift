internal import Logging
internal import NIOCore

/// Performs what `StreamConsumerStateMachine` decides: leases a connection, reads, and delivers to the mailbox.
///
/// An actor on an event loop, and its connection is on the same one: no step costs a change of threads.
actor StreamEngine {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    private let consumer: StreamConsumer
    private let mailbox: Mailbox<MessageBatch>
    private let logger: Logger
    private var machine: StreamConsumerStateMachine

    private var configuration: StreamConsumer.Configuration { consumer.configuration }
    private var pool: ConnectionPool { consumer.client.pool }

    init(consumer: StreamConsumer, mailbox: Mailbox<MessageBatch>) {
        self.consumer = consumer
        self.mailbox = mailbox
        eventLoop = consumer.client.pool.nextEventLoop()
        machine = StreamConsumerStateMachine(consumer.streams, count: consumer.configuration.batchSize)
        logger = consumer.client.logger
    }

    /// Serves the mailbox until it stops, or until something fails that trying again does not mend.
    nonisolated func run() async {
        await mailbox.whileOpen { await self.readLoop() }
    }

    private func readLoop() async {
        while !mailbox.isStopping && !Task.isCancelled {
            guard let reaction = await serve(), await follow(reaction) else { break }
        }
        // Cancelled, by the end of the client: a loop never just ends.
        if !mailbox.isStopping { mailbox.fail(PoolStateMachine<RedisConnection>.shutDown) }
    }

    /// Leases a connection, and takes step after step on it. Returns how to go on after a failure; `nil` when the
    /// mailbox has stopped.
    private func serve() async -> FailureReaction? {
        let connection: RedisConnection
        do throws(RedisError) {
            connection = try await pool.lease(on: eventLoop)
        } catch {
            return mailbox.isStopping || Task.isCancelled ? nil : machine.failed(error)
        }
        defer { pool.release(connection) }
        while await mailbox.waitForRoom() {
            do throws(RedisError) {
                try await perform(machine.next(), on: connection)
            } catch {
                return mailbox.isStopping || Task.isCancelled ? nil : machine.failed(error)
            }
        }
        return nil
    }

    private func perform(
        _ step: StreamConsumerStateMachine.Step,
        on connection: RedisConnection
    ) async throws(RedisError) {
        switch step {
        case .findLast(let stream):
            machine.foundLast(try await Self.lastID(of: stream, on: connection), of: stream)
        case .read(let positions):
            let streams = positions.map { StreamOffset($0.stream, after: $0.last) }
            let batches = try await connection.execute(
                XREAD(streams, count: machine.count, block: configuration.block)
            )
            machine.read(batches)
            for batch in batches { mailbox.deliver(batch) }
        }
    }

    /// The last id that the stream has given out. Not that of its last entry, which may have been deleted.
    private static func lastID(
        of stream: StreamKey,
        on connection: RedisConnection
    ) async throws(RedisError) -> StreamID {
        do throws(RedisError) {
            return try await connection.execute(XINFO.STREAM(stream)).lastGeneratedID
        } catch {
            // The one error of this command without a word of its own: there is no such key.
            guard error.serverCode == "ERR" else { throw error }
            return .zero
        }
    }

    /// Waits as long as a failure asks for. Returns `false` if it is final.
    private func follow(_ reaction: FailureReaction) async -> Bool {
        switch reaction {
        case .proceed: return true
        case .retry(let error, let attempt):
            let delay = configuration.backoff.delay(attempt: attempt, jitter: .random(in: 0...1))
            logger.info("consumer interrupted", metadata: LogKey.retry(error, attempt, delay))
            await eventLoop.sleep(for: delay)
            return true
        case .stop(let error):
            logger.info("consumer failed", metadata: [LogKey.reason: "\(error.code)"])
            mailbox.fail(error)
            return false
        }
    }
}
