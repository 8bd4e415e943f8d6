internal import NIOCore
internal import Synchronization

/// Hands messages from the buffer to the workers, or to the one loop, in any order, and knows which of them handles
/// what.
final class Dispatcher: Sendable {
    private struct State {
        /// The workers, by their numbers.
        var slots: [Int: WorkerSlot] = [:]
        var lastSlot = 0
    }

    let buffer: MessageBuffer<DeliveredMessages>
    let pending: PendingMessages
    private let observer: ConsumerObserver
    private let state = Mutex(State())
    /// The slot of the one loop, so that the time of its body is measured too.
    private let loop = WorkerSlot()

    init(_ pending: PendingMessages, prefetch: Int, bytes: Int = .max, budget: PrefetchBudget? = nil) {
        self.pending = pending
        observer = pending.observer
        buffer = MessageBuffer(prefetch: prefetch, bytes: bytes, budget: budget)
    }

    // MARK: From the reader to the handlers

    /// Puts a batch into the buffer. `isPending` says that the server keeps its messages pending until they have an
    /// outcome.
    func deliver(_ batch: DeliveredBatch, bytes: Int, isPending: Bool) {
        // A reply may arrive after the owner of the handlers has finished.
        if isPending ? !pending.hold(batch) : pending.isFinished { return }
        observer.delivered(batch.storage.entries.count)
        buffer.deliver(DeliveredMessages(batch: batch), bytes: bytes, isUrgent: batch.isQuarantined)
        // The consumer may have ended meanwhile: either `finish` or this call finds the messages in the buffer.
        if pending.isFinished { pending.returnLate(buffer.takeRest()) }
    }

    /// The owner of the handlers has finished: returns the messages that no handler got. The acknowledger then sends
    /// what is queued.
    func finish() {
        buffer.stop()
        let rest = buffer.takeRest()
        let isFirst = pending.finish(rest: rest)
        pending.returnLate((isFirst ? [] : rest) + buffer.takeRest())
    }

    /// Returns messages to the group that have waited here for `time`: other consumers may have free handlers. Returns
    /// how many there were.
    func requeueWaiting(for time: TimeAmount) -> Int {
        let latest = pending.leaseTime - time
        let messages = buffer.remove(waitedFor: time) { $0.batch.arrived <= latest }
        for message in messages { pending.requeue(message) }
        observer.returned(messages.count)
        return messages.count
    }

    /// For how long the oldest message has waited; `nil` if none waits.
    var longestWait: TimeAmount? { buffer.minimum(of: \.batch.arrived).map { pending.leaseTime - $0 } }

    // MARK: Called by workers

    /// A handler began at `time` and has ended. Returns whether to measure each handler for now.
    func measured(since time: NIODeadline) -> Bool { buffer.handled(in: pending.leaseTime - time) }

    /// A worker begins.
    func add(_ slot: WorkerSlot) {
        state.withLock { state in
            state.lastSlot += 1
            slot.number = state.lastSlot
            state.slots[state.lastSlot] = slot
        }
    }

    /// A worker has ended.
    func remove(_ slot: WorkerSlot) { state.withLock { $0.slots[slot.number] = nil } }

    // MARK: Running handlers

    private var workers: [Int: WorkerSlot].Values { state.withLock { $0.slots }.values }

    /// The slots of the workers and of the one loop.
    private var handlers: [WorkerSlot] {
        loop.observe(buffer.lastDelivered.map { HeldPosition(batch: $0.batch, position: $0.position) })
        return [loop] + workers
    }

    /// Whether a handler runs.
    var isHandling: Bool { buffer.lastDelivered != nil || workers.contains { $0.handledID != nil } }

    /// Whether a handler runs on a message that this consumer may no longer own.
    var handlesLostMessages: Bool { workers.contains(where: \.handlesLostMessage) }

    /// Those of the ids that a handler runs on, whether this consumer still owns them or not.
    func idsInHandlers(among ids: [StreamID]) -> Set<StreamID> {
        if ids.isEmpty { return [] }
        return Set(workers.compactMap(\.handledID)).intersection(ids)
    }

    /// Those of the ids that are new: unknown to the table, and without a running handler, so that no message is
    /// handled twice at the same time here.
    func unknown(among ids: [StreamID]) -> [StreamID] {
        let unknown = pending.read { $0.unknown(among: ids) }
        let handled = idsInHandlers(among: unknown)
        return handled.isEmpty ? unknown : unknown.filter { !handled.contains($0) }
    }

    /// Cancels the handlers of messages that were lost.
    func cancelHandlers(of lost: [HeldPosition]) {
        if lost.isEmpty { return }
        let lost = Set(lost)
        for worker in workers { worker.cancel(ifHandling: lost) }
    }

    /// Cancels all handlers.
    func cancelAllHandlers() {
        for worker in workers { worker.cancelIfHandling() }
    }

    /// The messages whose handlers run for longer than `time`, and for how long. Each is returned once, and again
    /// whenever its time has doubled.
    func overdueHandlers(after time: TimeAmount) -> [(id: StreamID, age: TimeAmount)] {
        let now = pending.leaseTime
        return handlers.compactMap { $0.overdue(at: now, after: time) }
    }

    // MARK: Snapshots

    /// A closure that makes snapshots for as long as this dispatcher exists.
    var snapshotIfAlive: @Sendable () -> ConsumerSnapshot? { { [weak self] in self?.snapshot } }

    /// How many messages are handled, and how many wait, at this moment.
    var snapshot: ConsumerSnapshot {
        let now = pending.leaseTime
        let ages = handlers.compactMap { $0.age(at: now) }
        return ConsumerSnapshot(
            handling: ages.count,
            oldestHandling: ages.max().map { .nanoseconds($0.nanoseconds) },
            waiting: buffer.waitingMessages,
            oldestWaiting: longestWait.map { .nanoseconds(max(0, $0.nanoseconds)) }
        )
    }
}
