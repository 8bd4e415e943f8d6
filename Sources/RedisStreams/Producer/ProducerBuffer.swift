internal import NIOCore
internal import Synchronization

/// The buffer between the tasks that submit messages and the engine that sends them.
final class ProducerBuffer: Sendable {
    private typealias Waiter = CheckedContinuation<RedisError?, Never>
    private typealias Submission = ProducerStateMachine<Item, Waiter>.Submission

    private struct State: ~Copyable {
        var machine: ProducerStateMachine<Item, Waiter>
        var lastID = 0
        var ledger = FlushLedger()
        var flushes: [Int: CheckedContinuation<Void, Never>] = [:]
        /// Errors of messages that no flush has thrown yet, with the receipts of the messages.
        var failures: [(receipt: Promise<StreamID>, error: RedisError)] = []
    }

    /// The maximum number of failures that the buffer keeps.
    private static let maxFailures = 1000

    private let state: Mutex<State>
    private let work = Signal()

    init(_ configuration: StreamProducer.Configuration) {
        state = Mutex(State(machine: ProducerStateMachine(configuration)))
    }

    // MARK: For tasks that submit

    /// Adds an item; waits while the buffer is full.
    func append(
        _ item: Item,
        bytes: Int,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(RedisError) {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let error: RedisError? = await withTaskCancellationHandler {
            _ = isolation
            return await withCheckedContinuation { continuation in
                let (submission, wakes): (Submission, Bool) = state.withLock { state in
                    if Task.isCancelled { return (.refused(Self.cancelled), false) }
                    let submission = state.machine.submit(item, bytes: bytes, id: id, waiter: continuation)
                    return (submission, state.machine.needsEngine)
                }
                if wakes { work.fire() }
                switch submission {
                case .accepted: continuation.resume(returning: nil)
                case .waiting: break
                case .refused(let error): continuation.resume(returning: error)
                }
            }
        } onCancel: {
            let (waiter, admitted) = state.withLock { state in
                if let position = state.machine.position(of: id) { state.ledger.cancelled(unsentBefore: position) }
                return state.machine.cancel(id: id)
            }
            waiter?.resume(returning: Self.cancelled)
            for waiter in admitted { waiter.resume(returning: nil) }
            if !admitted.isEmpty { work.fire() }
            resumeFlushes()
        }
        if let error { throw error }
    }

    /// Accepts nothing more.
    func finish() {
        state.withLock { $0.machine.finish(Self.finished) }
        work.fire()
    }

    /// Waits until every message that was submitted before has its outcome. The engine sends these messages at once.
    ///
    /// - Throws: The first failure since the last flush whose receipt no caller has read.
    func flushed() async throws(RedisError) {
        await waitUntilFlushed()
        let failures = state.withLock { state in
            defer { state.failures = [] }
            return state.failures
        }
        if let unread = failures.first(where: { !$0.receipt.wasAwaited }) { throw unread.error }
    }

    private func waitUntilFlushed() async {
        await withCheckedContinuation { continuation in
            let waits = state.withLock { state in
                guard let flush = state.ledger.flush(unsentCount: state.machine.unsentCount) else { return false }
                state.flushes[flush] = continuation
                return true
            }
            if waits { work.fire() } else { continuation.resume() }
        }
    }

    // MARK: For the engine

    /// Waits until there is a message to send. Returns `false` if there will be no more messages.
    func waitForWork() async -> Bool {
        while true {
            let (hasPending, isFinished) = state.withLock { ($0.machine.hasPending, $0.machine.isFinished) }
            if hasPending { return true }
            if isFinished || Task.isCancelled { return false }
            await work.wait()
        }
    }

    /// Waits until a batch is full, but no longer than `delay`, by the clock of `eventLoop`.
    func coalesce(for delay: Duration, on eventLoop: any EventLoop) async {
        let deadline = eventLoop.now + TimeAmount(delay)
        if isBatchFull || eventLoop.now >= deadline { return }
        let timer = eventLoop.scheduleTask(deadline: deadline) { self.work.fire() }
        while !isBatchFull, eventLoop.now < deadline, !Task.isCancelled { await work.wait() }
        timer.cancel()
    }

    private var isBatchFull: Bool { state.withLock { $0.machine.isBatchFull || $0.ledger.isUrgent } }

    /// The messages to send next, and the number of their batch for `settled(batch:count:bytes:)`.
    func takeBatch() -> (items: [Item], bytes: Int, number: Int) {
        state.withLock { state in
            let (items, bytes) = state.machine.takeBatch()
            return (items, bytes, state.ledger.sent(items.count))
        }
    }

    /// Sets the outcome of a message: its id, or its error.
    func fulfill(_ item: Item, _ outcome: Promise<StreamID>.Outcome) {
        if case .failure(let error) = outcome {
            state.withLock { state in
                if !item.receipt.wasAwaited, state.failures.count < Self.maxFailures {
                    state.failures.append((item.receipt, error))
                }
                // The server would refuse the next message, too, so `submit` has to throw from now on.
                if error.serverCode != nil, !error.isRetriable { state.machine.finish(error) }
            }
        }
        item.receipt.fulfill(outcome)
    }

    /// All items of a batch have their outcomes.
    func settled(batch number: Int, count: Int, bytes: Int) {
        let admitted = state.withLock { state in
            state.ledger.settled(number)
            return state.machine.settled(count: count, bytes: bytes)
        }
        for waiter in admitted { waiter.resume(returning: nil) }
        work.fire()
        resumeFlushes()
    }

    /// The engine has ended: all messages that have not been sent fail with `error`.
    func fail(_ error: RedisError) {
        let (items, waiters) = state.withLock { $0.machine.abort(error) }
        for item in items { fulfill(item, .failure(error)) }
        for waiter in waiters { waiter.resume(returning: error) }
        state.withLock { $0.ledger.abort() }
        resumeFlushes()
    }

    private func resumeFlushes() {
        let waiters = state.withLock { state in
            state.ledger.finished().compactMap { state.flushes.removeValue(forKey: $0) }
        }
        for waiter in waiters { waiter.resume() }
    }

    private static var cancelled: RedisError {
        RedisError(.cancelled, "The task was cancelled while it waited for room in the producer's buffer.")
    }

    private static var finished: RedisError {
        RedisError(.clientShutDown, "The producer has been finished, and accepts no more messages.")
    }
}
