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
    private var isInterrupted = false
    /// Keeps positions in Redis; `nil` if none is to be kept.
    nonisolated let keeper: PositionKeeper?

    private nonisolated var observer: ConsumerObserver { consumer.observer }
    nonisolated var pool: ConnectionPool { consumer.client.pool }
    nonisolated var backoff: Backoff { consumer.configuration.backoff }

    init(consumer: StreamConsumer, mailbox: Mailbox<MessageBatch>) {
        self.consumer = consumer
        self.mailbox = mailbox
        eventLoop = consumer.client.pool.nextEventLoop()
        machine = StreamConsumerStateMachine(
            consumer.streams,
            size: consumer.configuration.size,
            recovery: consumer.configuration.recovery
        )
        logger = consumer.observer.log.logger
        let keepsPositions = consumer.streams.values.contains { if case .resume = $0 { true } else { false } }
        keeper = keepsPositions ? PositionKeeper(consumer: consumer, eventLoop: eventLoop) : nil
    }

    /// Serves the mailbox until it stops, or until something fails that trying again does not mend; and keeps positions
    /// until nothing is handled any more.
    nonisolated func run() async {
        logger.info("consumer started")
        defer { if !mailbox.hasFailed { logger.info("consumer stopped") } }
        guard let keeper else { return await readWhileOpen() }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.readWhileOpen() }
            group.addTask {
                do throws(RedisError) { try await keeper.run() } catch { self.end(with: error) }
            }
        }
    }

    private nonisolated func readWhileOpen() async {
        // A stream of which nothing is heard is looked at between reads. One that is never quiet is looked at as well.
        let interval = TimeAmount(consumer.configuration.block)
        let ticks = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            self.assumeIsolated { $0.machine.tick() }
        }
        await mailbox.whileOpen { await self.readLoop() }
        ticks.cancel()
    }

    // MARK: Steps

    func leased(_ connection: RedisConnection) {}

    func takeStep(on connection: RedisConnection) async throws(RedisError) -> Bool {
        switch machine.next() {
        case .restore(let stream, let name): try await restore(stream, name, on: connection)
        case .findLast(let stream): try await findLast(of: stream, on: connection)
        case .look(let offsets): try await look(at: offsets, on: connection)
        case .read: return false
        }
        served()
        return true
    }

    private func restore(
        _ stream: StreamKey,
        _ name: String,
        on connection: RedisConnection
    ) async throws(RedisError) {
        let saved = try await connection.execute(RestorePosition(key: SavedPosition.key(name, of: stream)))
        machine.restored(saved?.id, of: stream)
        // Without one it is known when reading begins, and for some starts the server is asked first.
        if let saved {
            keeper?.begin(stream, name: name, at: saved, isSaved: true)
        } else if let start = machine.position(of: stream) {
            keep(start, of: stream, isSaved: true)
        }
    }

    /// Has the position kept, if that was asked for.
    private func keep(_ id: StreamID, of stream: StreamKey, isSaved: Bool) {
        guard let keeper, case .resume(let name, _) = consumer.streams[stream] else { return }
        keeper.begin(stream, name: name, at: SavedPosition(id: id, epoch: 0), isSaved: isSaved)
    }

    /// Finds out the last id that the stream has given out. Not that of its last entry, which may have been deleted.
    private func findLast(of stream: StreamKey, on connection: RedisConnection) async throws(RedisError) {
        let last: StreamID
        do throws(RedisError) {
            last = try await connection.lastGeneratedID(of: stream)
        } catch {
            if error.code == .wrongType, machine.refused(stream) {
                return report(.discontinuity(Discontinuity(.replaced, stream: stream, position: .zero, lastID: .zero)))
            }
            throw error
        }
        machine.foundLast(last, of: stream)
        keep(last, of: stream, isSaved: false)
    }

    /// Looks whether the streams go on where they were. Nothing is on its way.
    private func look(at offsets: [StreamOffset], on connection: RedisConnection) async throws(RedisError) {
        var looks: [StreamKey: StreamLook]
        do throws(RedisError) {
            looks = try await StreamLook.look(at: offsets.map(\.stream), on: connection)
            let suspects = machine.suspects(among: looks)
            if !suspects.isEmpty {
                let closer = try await StreamLook.lookCloser(at: suspects, on: connection)
                looks.merge(closer) { $1 }
            }
        } catch {
            if error.isRetriable { throw error }
            logger.notice("cannot look for discontinuities", metadata: [LogKey.reason: "\(error.code)"])
            return machine.cannotLook()
        }
        let outcome = machine.looked(looks)
        for event in outcome.events { report(event) }
        for move in outcome.moves { keeper?.moved(to: move) }
        if let failure = outcome.failure { throw failure }
    }

    private func report(_ event: ConsumerEvent) {
        observer.report(event)
        if case .discontinuity(let found) = event, found.kind == .replaced { keeper?.drop(found.stream) }
    }

    private func served() {
        guard isInterrupted else { return }
        isInterrupted = false
        observer.report(.reconnected)
    }

    // MARK: Reading

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

    private func deliver(_ read: [MessageBatch], on connection: RedisConnection) {
        served()
        let isBacklog = machine.read(read)
        let batches = machine.leavingOutSeen(read)
        let count = batches.reduce(0) { $0 + $1.count }
        // First the next read: the server works while these are handled. But not before what somebody waits for.
        if isBacklog { readOn(besides: count, on: connection) }
        for batch in batches {
            keeper?.delivered(batch)
            mailbox.deliver(batch, bytes: batch.byteCount)
        }
        if count > 0 { observer.count { $0.delivered += count } }
    }

    func paused() {}

    func failed(_ error: RedisError) -> FailureReaction {
        machine.failed(error, waits: consumer.client.waitsForServer)
    }

    func interrupted(by error: RedisError, retryAfter delay: Duration) {
        isInterrupted = true
        observer.report(.interrupted(error, retryAfter: delay))
    }

    /// By the end of the client: a loop never just ends.
    func cancelled() {
        end(with: PoolStateMachine<RedisConnection>.shutDown)
    }
}
