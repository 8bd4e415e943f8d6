internal import Logging
internal import NIOCore

/// Performs what `StreamConsumerStateMachine` decides, and delivers to the buffer.
actor StreamEngine: ConsumerEngine {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe eventLoop.executor.asUnownedSerialExecutor() }

    private let consumer: StreamConsumer
    let buffer: MessageBuffer<MessageBatch>
    let logger: Logger
    var machine: StreamConsumerStateMachine
    var readsInFlight = ReadsInFlight()
    /// Whether a read is on its way: the next one begins where it ends.
    private var isReading = false
    private var isInterrupted = false
    /// Whether it is known where to read.
    private var isReady = false
    /// Why reading has ended, if it failed.
    private var endReason: RedisError?
    /// Which of the consumer's loops this is.
    private let loop: Int
    /// Whether streams are looked at by a script.
    var probesByScript = true
    /// What is known of streams that are looked at without one.
    var knownLengths: [StreamKey: KnownLength] = [:]
    var master = MasterMonitor()
    /// Keeps positions in Redis; `nil` if none is to be kept.
    nonisolated let keeper: PositionKeeper?

    private nonisolated var observer: ConsumerObserver { consumer.observer }
    nonisolated var node: Node { consumer.client.router.node(for: Array(consumer.streams.keys)) }
    nonisolated var pool: ConnectionPool { node.pool }
    nonisolated var backoff: Backoff { consumer.configuration.backoff }

    init(consumer: StreamConsumer, buffer: MessageBuffer<MessageBatch>, loop: Int = 0) {
        self.consumer = consumer
        self.buffer = buffer
        self.loop = loop
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

    /// Serves the buffer until it stops, or until something fails that trying again does not mend; and keeps positions
    /// until nothing is handled any more.
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
        consumer.readiness.ended(loop, because: endReason ?? Readiness.left)
    }

    private nonisolated func readWhileOpen() async {
        // A stream of which nothing is heard is looked at between reads. One that is never quiet is looked at as well.
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
            served()
            return true
        case .findLast(let stream):
            try await findLast(of: stream, on: connection)
            served()
            return true
        default: break
        }
        if !isReady {
            isReady = true
            observer.ready()
            consumer.readiness.ready(loop)
        }
        switch machine.next() {
        case .look(let offsets):
            try await look(at: offsets, on: connection)
            served()
        case .readAlone(let offset):
            let command = XREAD([offset], count: machine.count)
            try deliver(try await connection.execute(command))
        case .identify(let offset): try await identify(behind: offset, on: connection)
        case .readBehind(let offset):
            let read = try await connection.execute(XREAD([offset], count: 1))
            if let id = machine.readBehind(read, of: offset.stream) {
                passedOver(id, of: offset.stream, "connections ended whenever it was read, and not behind it")
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
            last = try await lastID(of: stream, on: connection)
        } catch {
            if error.code == .wrongType, machine.refused(stream) {
                return report(.discontinuity(Discontinuity(.replaced, stream: stream, position: .zero, lastID: .zero)))
            }
            throw error
        }
        machine.foundLast(last, of: stream)
        keep(last, of: stream, isSaved: false)
    }

    func report(_ event: ConsumerEvent) {
        observer.report(event)
        if case .discontinuity(let found) = event, found.kind == .replaced { keeper?.drop(found.stream) }
    }

    private func served() {
        guard isInterrupted else { return }
        isInterrupted = false
        observer.reconnected()
    }

    // MARK: Reading

    func readOn(on connection: RedisConnection) {
        readOn(besides: 0, on: connection)
    }

    /// - Parameter arrived: How many messages have arrived and are not in the buffer yet.
    private func readOn(besides arrived: Int, on connection: RedisConnection) {
        guard !isReading, readsInFlight.isRunning, buffer.hasRoom(besides: arrived) else { return }
        guard case .read(let positions) = machine.next() else { return }
        let block = consumer.configuration.block
        let command = XREAD(positions, count: machine.count, block: block)
        isReading = true
        let begin = eventLoop.now
        self.begin(command, on: connection) { (engine, outcome) throws(RedisError) in
            engine.isReading = false
            let read = try command.result(of: outcome).get()
            // Who answers at once that there is nothing would be asked without a pause.
            if read.isEmpty, engine.eventLoop.now - begin < TimeAmount(block / 2) { throw Self.cameBackEarly }
            try engine.deliver(read, readingOnWith: connection)
        }
        // While there is a backlog the server shall work at once; else first comes who waits for the message.
        if arrived > 0 { connection.assumeIsolated { $0.flush() } }
    }

    private static var cameBackEarly: RedisError {
        RedisError(.unblocked, "A read came back with nothing long before its BLOCK was over.", command: XREAD.name)
    }

    private func deliver(
        _ read: [MessageBatch],
        readingOnWith connection: RedisConnection? = nil
    ) throws(RedisError) {
        let isBacklog = try machine.read(read)
        served()
        let batches = machine.leavingOutSeen(read)
        let count = batches.reduce(0) { $0 + $1.count }
        // First the next read: the server works while these are handled. But not before what somebody waits for.
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
            passedOver(id, of: offset.stream, "\(entry.bytes) bytes in \(entry.elements) fields and values")
        } catch {
            if error.isRetriable { throw error }
            if let reason = machine.cannotIdentify(behind: offset) { throw reason }
        }
    }

    private func passedOver(_ id: StreamID, of stream: StreamKey, _ reason: String) {
        keeper?.passedOver(id, of: stream)
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

    /// By the end of the client: a loop never just ends.
    func cancelled() {
        endReason = PoolStateMachine<RedisConnection>.shutDown
        end(with: PoolStateMachine<RedisConnection>.shutDown)
    }
}

/// What the script `nextEntry` tells of an entry.
private struct NextEntry {
    let id: StreamID
    /// How many fields and values it has.
    let elements: Int
    let bytes: Int

    /// Returns `nil` if there is none.
    init?(_ reply: RedisReply, to call: ScriptCall) throws(RedisError) {
        if reply.isNull { return nil }
        let values = Array(try call.elements(reply))
        guard values.count == 3 else { throw call.unexpected(reply) }
        id = try call.streamID(values[0])
        elements = try call.integer(values[1]).plausible
        bytes = try call.integer(values[2]).plausible
    }

    /// Whether a reply with this entry may exceed the limits: elements occupy memory, too.
    func isLarge(for limits: RESPLimits) -> Bool {
        elements > limits.maxArrayElements / 2 || bytes + elements * 32 > limits.maxReplyBytes / 2
    }
}
