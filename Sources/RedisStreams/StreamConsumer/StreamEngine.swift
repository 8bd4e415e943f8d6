internal import Logging
internal import NIOCore

/// Performs the steps that `StreamConsumerStateMachine` decides on, and adds the messages to the buffer.
actor StreamEngine: ConsumerEngine {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    private let consumer: StreamConsumer
    let buffer: MessageBuffer<MessageBatch>
    let logger: Logger
    var machine: StreamConsumerStateMachine
    var readsInFlight = ReadsInFlight()
    /// Whether a read is in flight: the next one starts where it ends.
    private var isReading = false
    private var isInterrupted = false
    /// Whether the positions of all streams are known.
    private var isReady = false
    /// Why the loop has ended, if it failed.
    private var endReason: RedisError?
    /// The number of this loop; see `Readiness`.
    private let loop: Int
    /// Whether streams are probed by a script.
    var probesByScript = true
    /// The lengths of the streams at their last probe without a script.
    var knownLengths: [StreamKey: KnownLength] = [:]
    var master = MasterMonitor()
    /// Saves positions in Redis; `nil` if the consumer saves none.
    nonisolated let keeper: PositionKeeper?

    private nonisolated var observer: ConsumerObserver { consumer.observer }
    nonisolated let route: any Route
    nonisolated var backoff: Backoff { consumer.configuration.backoff }

    init(consumer: StreamConsumer, buffer: MessageBuffer<MessageBatch>, loop: Int = 0) {
        self.consumer = consumer
        self.buffer = buffer
        self.loop = loop
        route = consumer.client.router.route(for: consumer.streams.keys.first)
        eventLoop = consumer.client.nextEventLoop()
        machine = StreamConsumerStateMachine(
            consumer.streams,
            size: consumer.configuration.size,
            recovery: consumer.configuration.recovery
        )
        logger = consumer.observer.log.logger
        let keepsPositions = consumer.streams.values.contains { if case .resume = $0 { true } else { false } }
        keeper = keepsPositions ? PositionKeeper(consumer: consumer, eventLoop: eventLoop) : nil
    }

    /// Fills the buffer until it stops, or until a failure that trying again does not fix; and saves positions until no
    /// more messages are handled.
    nonisolated func run() async {
        logger.info("consumer started")
        defer { if !buffer.hasFailed { logger.info("consumer stopped") } }
        if let keeper {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.readWhileOpen() }
                group.addTask {
                    do throws(RedisError) { try await keeper.run() } catch { self.end(with: error) }
                }
            }
        } else {
            await readWhileOpen()
        }
        await reportEnd()
    }

    private func reportEnd() {
        consumer.readiness.ended(loop, because: endReason ?? Readiness.loopEnded)
    }

    private nonisolated func readWhileOpen() async {
        // The streams are probed after reads that returned nothing. A stream that is never quiet has to be probed as
        // well.
        let interval = TimeAmount(consumer.configuration.block)
        let ticks = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            self.assumeIsolated { $0.machine.tick() }
        }
        await buffer.whileOpen { await self.readLoop() }
        ticks.cancel()
    }

    // MARK: Steps

    func leased(_ connection: RedisConnection) { knownLengths = [:] }

    func takeStep(on connection: RedisConnection) async throws(RedisError) -> Bool {
        switch machine.next() {
        case .restore(let stream, let name):
            try await restore(stream, name, on: connection)
            reportReconnected()
            return true
        case .findLast(let stream):
            try await findLast(of: stream, on: connection)
            reportReconnected()
            return true
        default: break
        }
        if !isReady {
            isReady = true
            observer.ready()
            consumer.readiness.ready(loop)
        }
        switch machine.next() {
        case .probe(let offsets):
            try await probe(offsets, on: connection)
            reportReconnected()
        case .readAlone(let offset):
            let command = XREAD([offset], count: machine.count)
            try deliver(try await connection.execute(command))
        case .identify(let offset): try await identify(behind: offset, on: connection)
        case .readBehind(let offset):
            let read = try await connection.execute(XREAD([offset], count: 1))
            if let id = machine.readBehind(read, of: offset.stream) {
                reportSkipped(
                    id,
                    of: offset.stream,
                    "the connection closed each time this entry was read, but not when the next one was"
                )
            }
            if !read.isEmpty { try deliver(read) }
        case .restore, .findLast, .read: return false
        }
        return true
    }

    private func restore(
        _ stream: StreamKey,
        _ name: String,
        on connection: RedisConnection
    ) async throws(RedisError) {
        let saved = try await connection.execute(RestorePosition(key: SavedPosition.key(name, of: stream)))
        machine.restored(saved?.id, of: stream)
        // Without a saved position, the start is known here, unless the server has to be asked for it first.
        if let saved {
            keeper?.track(stream, name: name, at: saved, isSaved: true)
        } else if let start = machine.position(of: stream) {
            trackPosition(start, of: stream, isSaved: true)
        }
    }

    /// Starts to save the position of a stream, if its start is `resume`.
    private func trackPosition(_ id: StreamID, of stream: StreamKey, isSaved: Bool) {
        guard let keeper, case .resume(let name, _) = consumer.streams[stream] else { return }
        keeper.track(stream, name: name, at: SavedPosition(id: id, epoch: 0), isSaved: isSaved)
    }

    /// Asks for the last id that the stream has given out. This is not the id of its last entry, which may have been
    /// deleted.
    private func findLast(of stream: StreamKey, on connection: RedisConnection) async throws(RedisError) {
        let last: StreamID
        do throws(RedisError) {
            last = try await lastID(of: stream, on: connection)
        } catch {
            if error.code == .wrongType, machine.refused(stream) {
                return report(.discontinuity(Discontinuity(.replaced, stream: stream, position: .zero, lastID: .zero)))
            }
            throw error
        }
        machine.foundLast(last, of: stream)
        trackPosition(last, of: stream, isSaved: false)
    }

    func report(_ event: ConsumerEvent) {
        observer.report(event)
        if case .discontinuity(let found) = event, found.kind == .replaced { keeper?.drop(found.stream) }
    }

    private func reportReconnected() {
        guard isInterrupted else { return }
        isInterrupted = false
        observer.reconnected()
    }

    // MARK: Reading

    func readOn(on connection: RedisConnection) {
        readOn(besides: 0, on: connection)
    }

    /// - Parameter arrived: How many messages have arrived that are not in the buffer yet.
    private func readOn(besides arrived: Int, on connection: RedisConnection) {
        guard !isReading, readsInFlight.isRunning, buffer.hasRoom(besides: arrived) else { return }
        guard case .read(let positions) = machine.next() else { return }
        let block = consumer.configuration.block
        let command = XREAD(positions, count: machine.count, block: block)
        isReading = true
        let begin = eventLoop.now
        self.send(command, on: connection) { (engine, outcome) throws(RedisError) in
            engine.isReading = false
            let read = try command.result(of: outcome).get()
            // Otherwise the consumer would ask a server that answers at once with nothing again without a pause.
            if read.isEmpty, engine.eventLoop.now - begin < TimeAmount(block / 2) { throw Self.returnedEarly }
            try engine.deliver(read, readingOnWith: connection)
        }
        // While there is a backlog, this read is sent at once, so that the server is never idle. Otherwise the task
        // that waits for the message runs first.
        if arrived > 0 { connection.assumeIsolated { $0.flush() } }
    }

    private static var returnedEarly: RedisError {
        RedisError(.unblocked, "A read returned nothing long before its BLOCK time was over.", command: XREAD.name)
    }

    private func deliver(
        _ read: [MessageBatch],
        readingOnWith connection: RedisConnection? = nil
    ) throws(RedisError) {
        let isBacklog = try machine.read(read)
        reportReconnected()
        let batches = machine.filteringSeen(read)
        let count = batches.reduce(0) { $0 + $1.count }
        // During a backlog, the next read is sent first, so that the server works while these messages are handled.
        // Otherwise a task may be waiting for the message, and gets it first.
        if isBacklog, let connection { readOn(besides: count, on: connection) }
        for batch in batches {
            keeper?.delivered(batch)
            buffer.deliver(batch, bytes: batch.byteCount)
        }
        if count > 0 { observer.delivered(count) }
    }

    // MARK: Entries that cannot be read

    private func identify(behind offset: StreamOffset, on connection: RedisConnection) async throws(RedisError) {
        let call = ScriptCall(.nextEntry, keys: [offset.stream], arguments: [.text("\(offset.id)")])
        do throws(RedisError) {
            let entry = try NextEntry(try await connection.run(call), to: call)
            let isLarge = entry.map { $0.isLarge(for: consumer.client.configuration.connection.limits) } ?? false
            guard let id = machine.identified(entry?.id, isLarge: isLarge, behind: offset), let entry else { return }
            reportSkipped(id, of: offset.stream, "\(entry.bytes) bytes in \(entry.elements) fields and values")
        } catch {
            if error.isRetriable { throw error }
            if let reason = machine.cannotIdentify(behind: offset) { throw reason }
        }
    }

    private func reportSkipped(_ id: StreamID, of stream: StreamKey, _ reason: String) {
        keeper?.skipped(id, of: stream)
        report(.unreadable(id: id, stream: stream, reason: reason))
    }

    func paused() {}

    func failed(_ error: RedisError) -> FailureReaction {
        let reaction = machine.failed(error, waits: consumer.client.waitsForServer)
        if case .stop(let reason) = reaction { endReason = reason }
        return reaction
    }

    func interrupted(by error: RedisError, retryAfter delay: Duration) {
        isInterrupted = true
        observer.interrupted(by: error, retryAfter: delay)
    }

    /// The client has shut down. The loop ends with an error, never silently.
    func cancelled() {
        endReason = PoolStateMachine<RedisConnection>.shutDown
        end(with: PoolStateMachine<RedisConnection>.shutDown)
    }
}

/// The reply of the script `nextEntry`.
private struct NextEntry {
    let id: StreamID
    /// The number of fields and values of the entry.
    let elements: Int
    let bytes: Int

    /// Returns `nil` if there is no next entry.
    init?(_ reply: RedisReply, to call: ScriptCall) throws(RedisError) {
        if reply.isNull { return nil }
        let values = Array(try call.elements(reply))
        guard values.count == 3 else { throw call.unexpected(reply) }
        id = try call.streamID(values[0])
        elements = try call.integer(values[1]).plausible
        bytes = try call.integer(values[2]).plausible
    }

    /// Whether a reply with this entry may exceed the limits. Each field and value takes memory besides its bytes.
    func isLarge(for limits: RESPLimits) -> Bool {
        elements > limits.maxArrayElements / 2 || bytes + elements * 32 > limits.maxReplyBytes / 2
    }
}
