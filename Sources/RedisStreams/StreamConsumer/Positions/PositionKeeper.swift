internal import Logging
internal import NIOCore
internal import Synchronization

/// Keeps in Redis how far a reader has handled its messages: gathered, and once more at the end.
final class PositionKeeper: Sendable {
    private struct State: ~Copyable {
        var ledger = PositionLedger()
        /// Whether Redis will be told without anybody asking.
        var isScheduled = false
        /// Whether nothing is written any more.
        var isOver = false
        /// Who waits until nothing is written any more.
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let client: RedisClient
    private let logger: Logger
    private let eventLoop: any EventLoop
    private let configuration: StreamConsumer.Configuration
    private let state = Mutex(State())
    private let work = Signal()

    /// How often it is tried to tell Redis when the reader has come to its end.
    private static let lastAttempts = 3
    /// For how long at most.
    private static let lastTime = Duration.seconds(2)

    init(consumer: StreamConsumer, eventLoop: any EventLoop) {
        client = consumer.client
        logger = consumer.observer.log.logger
        configuration = consumer.configuration
        self.eventLoop = eventLoop
    }

    // MARK: The side of the reader

    /// A message has been handled.
    func handled(_ message: StreamMessage) {
        let (isMany, isFirst) = state.withLock { state in
            let count = state.ledger.handled(message.id, of: message.stream)
            defer { state.isScheduled = true }
            return (count == configuration.positionCount, !state.isScheduled)
        }
        if isMany { return work.fire() }
        if isFirst { schedule() }
    }

    private func schedule() {
        eventLoop.scheduleTask(in: TimeAmount(configuration.positionInterval)) { self.work.fire() }
    }

    /// Nothing more is handled.
    func finish() {
        state.withLock { $0.ledger.finish() }
        work.fire()
    }

    /// Waits, cancelled or not, until Redis was told, or cannot be told in time. Nothing more is handled.
    func written() async {
        finish()
        // Also where nobody has ever begun to keep positions.
        let timer = eventLoop.scheduleTask(in: TimeAmount(Self.lastTime)) { self.isOver() }
        await withCheckedContinuation { waiter in
            let isOver = state.withLock { state in
                if !state.isOver { state.waiters.append(waiter) }
                return state.isOver
            }
            if isOver { waiter.resume() }
        }
        timer.cancel()
    }

    /// Nothing is written any more.
    func isOver() {
        let waiters = state.withLock { state in
            state.isOver = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    // MARK: The side of the engine

    /// A stream is read from a position on.
    func begin(_ stream: StreamKey, name: String, at position: SavedPosition, isSaved: Bool) {
        state.withLock { $0.ledger.begin(stream, name: name, at: position, isSaved: isSaved) }
        if !isSaved { work.fire() }
    }

    func delivered(_ batch: MessageBatch) {
        guard let last = batch.last?.id else { return }
        state.withLock { $0.ledger.delivered(last, of: batch.stream) }
    }

    /// An entry behind what was delivered cannot be read.
    func passedOver(_ id: StreamID, of stream: StreamKey) {
        if state.withLock({ $0.ledger.passedOver(id, of: stream) }) { work.fire() }
    }

    func moved(to offset: StreamOffset) {
        state.withLock { $0.ledger.moved(to: offset.id, in: offset.stream) }
        work.fire()
    }

    func drop(_ stream: StreamKey) {
        state.withLock { $0.ledger.drop(stream) }
    }

    /// Tells Redis whatever is due, until nothing more is handled.
    ///
    /// - Throws: ``RedisError``, if Redis refuses to keep positions.
    func run() async throws(RedisError) {
        defer { isOver() }
        var attempt = 0
        var end = NIODeadline.distantFuture
        while true {
            let isLast = await waitForWork()
            if isLast { end = min(end, eventLoop.now + TimeAmount(Self.lastTime)) }
            do throws(RedisError) {
                try await saveDue(before: end)
                attempt = 0
                if isLast { return }
            } catch {
                attempt += 1
                guard error.isRetriable else { throw error }
                logger.log(
                    level: .of(attempt: attempt),
                    "could not keep the position in Redis, trying again",
                    metadata: [LogKey.attempt: "\(attempt)", LogKey.reason: "\(error)"]
                )
                // What is not kept is read again.
                if isLast, attempt >= Self.lastAttempts || eventLoop.now >= end { return }
                let jitter = client.randomness()
                let delay = configuration.backoff.delay(attempt: attempt, jitter: jitter, after: error)
                await eventLoop.sleepInAnyCase(for: isLast ? min(delay, .milliseconds(100)) : delay)
                work.fire()
            }
        }
    }

    /// Waits until something is due. Returns whether it is for the last time; by cancellation, too.
    private func waitForWork() async -> Bool {
        await withTaskCancellationHandler {
            await work.waitInAnyCase()
        } onCancel: {
            finish()
        }
        return state.withLock { $0.ledger.isFinished }
    }

    private func saveDue(before end: NIODeadline) async throws(RedisError) {
        let saves = state.withLock { state in
            state.isScheduled = false
            return state.ledger.takeDue()
        }
        for save in saves {
            let epoch = try await keep(save, before: end).get()
            state.withLock { $0.ledger.saved(save, epoch: epoch) }
        }
    }

    /// In a task of its own: at the end this one is cancelled, and what was handled has to be told all the same.
    private func keep(_ save: PositionLedger.Save, before end: NIODeadline) async -> Result<Int, RedisError> {
        let call = ScriptCall(
            .savePosition,
            keys: [SavedPosition.key(save.name, of: save.stream)],
            arguments: [
                .text("\(save.position.id)"), .integer(save.position.epoch), save.isMove ? "move" : "save",
            ]
        )
        let pool = client.router.node(for: call.keys).pool
        let eventLoop = eventLoop
        let task = Task { () -> Result<Int, RedisError> in
            do throws(RedisError) {
                guard let connection = pool.readyShared() else {
                    // A client that is ending makes no shared connections any more.
                    let connection = try await pool.lease(on: eventLoop)
                    defer { pool.release(connection) }
                    return .success(try await connection.run(call).integer ?? 0)
                }
                return .success(try await connection.run(call).integer ?? 0)
            } catch {
                return .failure(error)
            }
        }
        if end == .distantFuture { return await task.value }
        let timer = eventLoop.scheduleTask(deadline: end) { task.cancel() }
        defer { timer.cancel() }
        return await task.value
    }
}
