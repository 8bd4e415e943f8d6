internal import Logging
internal import NIOCore

/// The common part of the engines of both kinds of consumers: they lease a connection, take one step after the other on
/// it, and continue after failures.
///
/// An engine is an actor on the event loop of its connection. It does not await reads: it handles their replies on the
/// event loop, and during a backlog it sends the next read before it delivers the messages of the last one, so that the
/// server never idles. A task is resumed only when another kind of step is due.
protocol ConsumerEngine: Actor {
    associatedtype Batch: RandomAccessCollection & Sendable where Batch.Index == Int, Batch.Element: Sendable

    nonisolated var eventLoop: any EventLoop { get }
    nonisolated var route: any Route { get }
    nonisolated var buffer: MessageBuffer<Batch> { get }
    nonisolated var backoff: Backoff { get }
    nonisolated var logger: Logger { get }
    var readsInFlight: ReadsInFlight { get set }

    /// The engine has leased a connection to read on, its first one or a new one.
    func leased(_ connection: RedisConnection) async throws(RedisError)

    /// Takes the next step, if it is one that is awaited. Returns whether it was.
    func takeStep(on connection: RedisConnection) async throws(RedisError) -> Bool

    /// Starts as many reads as there is room for, with `send`, and has them sent.
    func readOn(on connection: RedisConnection)

    /// No command is in flight any more.
    func paused()

    /// A step failed, or the engine could not connect.
    func failed(_ error: RedisError) -> FailureReaction

    /// The engine stops reading for a while.
    func interrupted(by error: RedisError, retryAfter delay: Duration)

    /// The reading task was cancelled from outside.
    func cancelled()
}

extension ConsumerEngine {
    /// Ends the consumer with an error, which is thrown to the tasks that ask for messages.
    nonisolated func end(with error: RedisError) {
        logger.error("consumer ended with an error", metadata: [LogKey.reason: "\(error)"])
        buffer.fail(error)
    }

    /// Serves until the buffer stops, the task is cancelled, or a failure is final.
    func readLoop() async {
        while !buffer.isStopping && !Task.isCancelled {
            guard let reaction = await serve(), await apply(reaction) else { break }
        }
        if !buffer.isStopping { cancelled() }
    }

    /// Leases a connection, and takes step after step on it. Returns how to continue after a failure; `nil` when the
    /// buffer has stopped.
    private func serve() async -> FailureReaction? {
        let connection: RedisConnection
        do throws(RedisError) {
            connection = try await route.lease(on: eventLoop)
        } catch {
            return buffer.isStopping || Task.isCancelled ? nil : failed(error)
        }
        defer { route.release(connection) }
        do throws(RedisError) { try await leased(connection) } catch { return failed(error) }
        while await buffer.waitForRoom() {
            do throws(RedisError) {
                if try await takeStep(on: connection) { continue }
                try await read(on: connection)
            } catch {
                if buffer.isStopping || Task.isCancelled { return nil }
                let reaction = failed(error)
                if case .proceed = reaction { continue }
                return reaction
            }
        }
        return nil
    }

    /// Reads until another kind of step is due and no command is in flight. Cancellation closes the connection, since
    /// there is no other way to end a blocked read at once.
    private func read(on connection: RedisConnection) async throws(RedisError) {
        let failure = await withTaskCancellationHandler {
            _ = self
            return await withCheckedContinuation { waiter in
                readsInFlight.run(waiter)
                if !Task.isCancelled { readOn(on: connection) }
                finishIfIdle()
            }
        } onCancel: {
            connection.close()
        }
        paused()
        // On the event loop, `close` takes effect at once, before another task can lease the connection.
        if Task.isCancelled { connection.close() }
        if let failure { throw failure }
    }

    /// Queues a command until the connection is flushed. Its outcome is handled on the event loop. An error that
    /// `handle` throws ends the reading; otherwise, more reads may start afterwards.
    func send(
        _ command: some RedisCommand,
        on connection: RedisConnection,
        notAfter latest: NIODeadline = .distantFuture,
        then handle: @escaping @Sendable (isolated Self, PendingReplies.Outcome) throws(RedisError) -> Void
    ) {
        readsInFlight.began()
        connection.enqueue(command, notAfter: latest) { outcome in
            self.assumeIsolated { engine in
                engine.readsInFlight.ended()
                do throws(RedisError) { try handle(engine, outcome) } catch { engine.readsInFlight.failed(error) }
                engine.goOn(on: connection)
            }
        }
    }

    /// Lets more reads start in a later turn of the event loop: a task that waits for a message runs first.
    func goOn(on connection: RedisConnection) {
        guard readsInFlight.shouldSchedule() else { return }
        eventLoop.execute {
            self.assumeIsolated { engine in
                engine.readsInFlight.scheduledBegins()
                if engine.readsInFlight.isRunning { engine.readOn(on: connection) }
                engine.finishIfIdle()
            }
        }
    }

    private func finishIfIdle() {
        guard let (waiter, failure) = readsInFlight.takeFinished() else { return }
        waiter.resume(returning: failure)
    }

    /// Waits as long as the failure requires. Returns `false` if the failure is final.
    private func apply(_ reaction: FailureReaction) async -> Bool {
        switch reaction {
        case .proceed, .reconnect: return true
        case .retry(let error, let attempt):
            let delay = backoff.delay(attempt: attempt, jitter: route.randomness(), after: error)
            interrupted(by: error, retryAfter: delay)
            await eventLoop.sleep(for: delay)
            return true
        case .stop(let error):
            end(with: error)
            return false
        }
    }
}
