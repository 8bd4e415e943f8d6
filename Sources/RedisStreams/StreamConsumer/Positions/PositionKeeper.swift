internal import Logging
internal import NIOCore
internal import Synchronization

/// Saves in Redis how far a consumer has handled its messages: at intervals, and once more when the loop ends.
final class PositionKeeper: Sendable {
    private struct State: ~Copyable {
        var ledger = PositionLedger()
        /// Whether a timer for the next save is running.
        var isScheduled = false
        /// Whether the keeper has stopped saving.
        var isClosed = false
        /// Tasks that wait until the keeper has stopped saving.
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let client: RedisClient
    private let logger: Logger
    private let eventLoop: any EventLoop
    private let configuration: StreamConsumer.Configuration
    private let state = Mutex(State())
    private let work = Signal()

    /// How many attempts the last save gets, after the loop has ended.
    private static let finalAttempts = 3
    /// How long the last save may take.
    private static let finalTimeout = Duration.seconds(2)

    init(consumer: StreamConsumer, eventLoop: any EventLoop) {
        client = consumer.client
        logger = consumer.observer.log.logger
        configuration = consumer.configuration
        self.eventLoop = eventLoop
    }

    // MARK: Called by the loop

    /// The loop has handled a message.
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

    /// The loop handles no more messages.
    func finish() {
        state.withLock { $0.ledger.finish() }
        work.fire()
    }

    /// Waits, even in a cancelled task, until the last position is saved or the time for that is over. The loop handles
    /// no more messages.
    func written() async {
        finish()
        // This timer ends the wait even if `run()` was never called.
        let timer = eventLoop.scheduleTask(in: TimeAmount(Self.finalTimeout)) { self.close() }
        await withCheckedContinuation { waiter in
            let isClosed = state.withLock { state in
                if !state.isClosed { state.waiters.append(waiter) }
                return state.isClosed
            }
            if isClosed { waiter.resume() }
        }
        timer.cancel()
    }

    /// Ends the wait of all tasks that wait for the last save.
    func close() {
        let waiters = state.withLock { state in
            state.isClosed = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    // MARK: Called by the engine

    /// The engine starts to read a stream at a position. `isSaved` says whether Redis has that position.
    func track(_ stream: StreamKey, name: String, at position: SavedPosition, isSaved: Bool) {
        state.withLock { $0.ledger.track(stream, name: name, at: position, isSaved: isSaved) }
        if !isSaved { work.fire() }
    }

    /// The engine adds a batch to the buffer.
    func delivered(_ batch: MessageBatch) {
        guard let last = batch.last?.id else { return }
        state.withLock { $0.ledger.delivered(last, of: batch.stream) }
    }

    /// The engine skips an entry, which comes after the delivered ones.
    func skipped(_ id: StreamID, of stream: StreamKey) {
        if state.withLock({ $0.ledger.skipped(id, of: stream) }) { work.fire() }
    }

    /// The engine has moved the position of a stream after a discontinuity.
    func moved(to offset: StreamOffset) {
        state.withLock { $0.ledger.moved(to: offset.id, in: offset.stream) }
        work.fire()
    }

    /// The engine no longer reads a stream.
    func drop(_ stream: StreamKey) {
        state.withLock { $0.ledger.drop(stream) }
    }

    /// Saves the positions that are due, until the loop has ended.
    ///
    /// - Throws: ``RedisError``, if Redis refuses to save positions.
    func run() async throws(RedisError) {
        defer { close() }
        var attempt = 0
        var end = NIODeadline.distantFuture
        while true {
            let isFinal = await waitForWork()
            if isFinal { end = min(end, eventLoop.now + TimeAmount(Self.finalTimeout)) }
            do throws(RedisError) {
                try await saveDue(before: end)
                attempt = 0
                if isFinal { return }
            } catch {
                attempt += 1
                guard error.isRetriable else { throw error }
                logger.log(
                    level: .of(attempt: attempt),
                    "could not save the position in Redis, trying again",
                    metadata: [LogKey.attempt: "\(attempt)", LogKey.reason: "\(error)"]
                )
                // Messages whose position is not saved are read again by the next process.
                if isFinal, attempt >= Self.finalAttempts || eventLoop.now >= end { return }
                let jitter = client.randomness()
                let delay = configuration.backoff.delay(attempt: attempt, jitter: jitter, after: error)
                await eventLoop.sleepInAnyCase(for: isFinal ? min(delay, .milliseconds(100)) : delay)
                work.fire()
            }
        }
    }

    /// Waits until a position may be due. Returns whether the loop has ended, which cancellation counts as, too.
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
            let epoch = try await write(save, before: end).get()
            state.withLock { $0.ledger.saved(save, epoch: epoch) }
        }
    }

    /// Runs in its own task, because at the end the calling task is cancelled, and the position has to be saved all the
    /// same.
    private func write(_ save: PositionLedger.Save, before end: NIODeadline) async -> Result<Int, RedisError> {
        let call = ScriptCall(
            .savePosition,
            keys: [SavedPosition.key(save.name, of: save.stream)],
            arguments: [
                .text("\(save.position.id)"), .integer(save.position.epoch), save.isMove ? "move" : "save",
            ]
        )
        let route = client.router.route(for: call.keys.first)
        let eventLoop = eventLoop
        let task = Task { () -> Result<Int, RedisError> in
            do throws(RedisError) {
                return .success(try await Self.send(call, by: route, on: eventLoop))
            } catch {
                // While the stream moves to another node, the old one sends each save on.
                guard error.redirection != nil else { return .failure(error) }
                route.follow(error)
            }
            do throws(RedisError) {
                return .success(try await Self.send(call, by: route, on: eventLoop))
            } catch {
                return .failure(error)
            }
        }
        if end == .distantFuture { return await task.value }
        let timer = eventLoop.scheduleTask(deadline: end) { task.cancel() }
        defer { timer.cancel() }
        return await task.value
    }

    private static func send(
        _ call: ScriptCall,
        by route: any Route,
        on eventLoop: any EventLoop
    ) async throws(RedisError) -> Int {
        guard let connection = route.readyShared() else {
            // A client that is shutting down opens no more shared connections.
            let connection = try await route.lease(on: eventLoop)
            defer { route.release(connection) }
            return try await connection.run(call).integer ?? 0
        }
        return try await connection.run(call).integer ?? 0
    }
}
