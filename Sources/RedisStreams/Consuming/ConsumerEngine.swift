internal import Logging
internal import NIOCore

/// What the engines of both kinds of consumers share: they lease a connection, take one step after the other on it, and
/// go on after failures.
///
/// Actors on an event loop, with their connection on the same one. Reads are not awaited: their replies are handled on
/// the event loop, where the next read leaves before the messages are taken apart, so that the server never waits. A task
/// is resumed only when another kind of step is due.
protocol ConsumerEngine: Actor {
    associatedtype Batch: RandomAccessCollection & Sendable where Batch.Index == Int, Batch.Element: Sendable

    nonisolated var eventLoop: any EventLoop { get }
    nonisolated var pool: ConnectionPool { get }
    nonisolated var buffer: MessageBuffer<Batch> { get }
    nonisolated var backoff: Backoff { get }
    nonisolated var logger: Logger { get }
    var readsInFlight: ReadsInFlight { get set }

    /// There is a connection to read on, the first one or another one.
    func leased(_ connection: RedisConnection) async throws(RedisError)

    /// Does what is next, if it is something to be awaited. Returns whether it was.
    func takeStep(on connection: RedisConnection) async throws(RedisError) -> Bool

    /// Begins as many reads as there may be, with `begin`, and has them sent.
    func readOn(on connection: RedisConnection)

    /// Nothing is on its way any more.
    func paused()

    /// A step failed, or connecting did.
    func failed(_ error: RedisError) -> FailureReaction

    /// Reading is interrupted for a while.
    func interrupted(by error: RedisError, retryAfter delay: Duration)

    /// Reading was cancelled from outside.
    func cancelled()
}

extension ConsumerEngine {
    /// Ends the consumer with an error, which is thrown at who asks for messages.
    nonisolated func end(with error: RedisError) {
        logger.error("consumer ended with an error", metadata: [LogKey.reason: "\(error)"])
        buffer.fail(error)
    }

    func readLoop() async {
        while !buffer.isStopping && !Task.isCancelled {
            guard let reaction = await serve(), await follow(reaction) else { break }
        }
        if !buffer.isStopping { cancelled() }
    }

    /// Leases a connection, and takes step after step on it. Returns how to go on after a failure; `nil` when the buffer
    /// has stopped.
    private func serve() async -> FailureReaction? {
        let connection: RedisConnection
        do throws(RedisError) {
            connection = try await pool.lease(on: eventLoop)
        } catch {
            return buffer.isStopping || Task.isCancelled ? nil : failed(error)
        }
        defer { pool.release(connection) }
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

    /// Reads until something else is to be done and nothing is on its way. Cancellation ends the connection, since there
    /// is no other way to end a read that waits on the server at once.
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
        // Here this closes at once, before anybody else can be given the connection.
        if Task.isCancelled { connection.close() }
        if let failure { throw failure }
    }

    /// Lets a command stand in line until the connection is flushed. Its outcome is handled on the event loop; an error
    /// that `handle` throws ends the reading. Afterwards, others may begin.
    func begin(
        _ command: some RedisCommand,
        on connection: RedisConnection,
        notAfter latest: NIODeadline = .distantFuture,
        then handle: @escaping @Sendable (isolated Self, PendingReplies.Outcome) throws(RedisError) -> Void
    ) {
        readsInFlight.began()
        connection.begin(command, notAfter: latest) { outcome in
            self.assumeIsolated { engine in
                engine.readsInFlight.ended()
                do throws(RedisError) { try handle(engine, outcome) } catch { engine.readsInFlight.failed(error) }
                engine.goOn(on: connection)
            }
        }
    }

    /// Lets others begin, behind what was woken by what has come: who waits for a message is served first.
    func goOn(on connection: RedisConnection) {
        guard readsInFlight.mayGoOn() else { return }
        eventLoop.execute {
            self.assumeIsolated { engine in
                engine.readsInFlight.goesOn()
                if engine.readsInFlight.isRunning { engine.readOn(on: connection) }
                engine.finishIfIdle()
            }
        }
    }

    private func finishIfIdle() {
        guard let (waiter, failure) = readsInFlight.takeFinished() else { return }
        waiter.resume(returning: failure)
    }

    /// Waits as long as a failure asks for. Returns `false` if it is final.
    private func follow(_ reaction: FailureReaction) async -> Bool {
        switch reaction {
        case .proceed: return true
        case .retry(let error, let attempt):
            let delay = backoff.delay(attempt: attempt, jitter: pool.randomness(), after: error)
            interrupted(by: error, retryAfter: delay)
            await eventLoop.sleep(for: delay)
            return true
        case .stop(let error):
            end(with: error)
            return false
        }
    }
}
