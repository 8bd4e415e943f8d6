internal import NIOCore
internal import Synchronization

/// The messages of one stream that this consumer owns: the `PendingTable` and its lock. Handlers decide outcomes on any
/// thread; the parts of the partition make all other changes on the event loop.
final class PendingMessages: Sendable {
    fileprivate struct State: ~Copyable {
        var table: PendingTable
        var acknowledger = AcknowledgerStateMachine()
        var listeners = Listeners()
        /// How many publications are held back, as the message buffer knows it.
        var heldBack = 0
    }

    /// The parts that act on changes of the table.
    struct Listeners {
        /// Outcomes are queued, and neither a read nor a timer will send them.
        var outcomesWait: @Sendable () -> Void = {}
        /// A slot of the quarantine is free.
        var slotIsFree: @Sendable () -> Void = {}
        /// The number of publications that are held back has changed. Called under the lock, so that the last number is
        /// the newest.
        var heldBack: @Sendable (Int) -> Void = { _ in }
    }

    /// What came of a decision, and whom to notify.
    fileprivate struct Decided {
        let isDecided: Bool
        let mustWake: Bool
        let freesSlot: Bool
    }

    /// The event loop of the consumer.
    let eventLoop: any EventLoop
    private let leaseClock: LeaseClock
    /// The group of the consumer.
    let group: String
    /// Whether the server keeps messages pending while they are handled.
    let keepsPending: Bool
    /// The stream whose slot all entries of a handler have to share; `nil` with one server, where no slot matters.
    let slotKey: StreamKey?
    let observer: ConsumerObserver
    /// Decide what happens to messages whose handlers fail.
    let rules: FailureRules
    /// Whether the consumer returns messages to the group that it did not handle. Otherwise other consumers claim them
    /// when their leases have expired.
    let returnsUnhandled: Bool
    private let randomness: @Sendable () -> Double
    private let lease: TimeAmount?
    private let state: Mutex<State>
    private let slowPath = Signal()

    init(
        group: String,
        keepsPending: Bool = true,
        slotKey: StreamKey? = nil,
        concurrency: Int = 1,
        leasePolicy: LeasePolicy = LeasePolicy(),
        rules: FailureRules = FailureRules(),
        observer: ConsumerObserver = ConsumerObserver(),
        returnsUnhandled: Bool = true,
        onChange: (@Sendable (StreamID, EntryState?) -> Void)? = nil,
        randomness: @escaping @Sendable () -> Double = { .random(in: 0...1) },
        eventLoop: any EventLoop,
        leaseClock: LeaseClock = .eventLoop
    ) {
        self.group = group
        self.keepsPending = keepsPending
        self.slotKey = slotKey
        self.eventLoop = eventLoop
        self.leaseClock = leaseClock
        self.rules = rules
        self.observer = observer
        self.returnsUnhandled = returnsUnhandled && keepsPending
        self.randomness = randomness
        lease = leasePolicy.lease
        state = Mutex(State(table: PendingTable(leasePolicy, concurrency: concurrency, onChange: onChange)))
    }

    func listen(_ listeners: Listeners) { state.withLock { $0.listeners = listeners } }

    /// Not called under the lock: what a listener does may ask for what the lock guards.
    private var listeners: Listeners { state.withLock { $0.listeners } }

    /// The time of the clock of leases. Timers use the time of the event loop.
    var leaseTime: NIODeadline { leaseClock.now(on: eventLoop) }

    /// The time at which a handler gets a message, if its lease or a measurement needs it.
    func handOutTime(isMeasured: Bool) -> NIODeadline? { lease != nil || isMeasured ? leaseTime : nil }

    // MARK: Access

    /// Reads the table.
    func read<Result>(_ body: (borrowing PendingTable) -> Result) -> Result {
        state.withLock { body($0.table) }
    }

    /// Changes the table, and notifies the listeners.
    func change<Result>(_ body: (inout PendingTable) -> Result) -> Result {
        let (result, slotIsFree) = state.withLock { state in
            let result = body(&state.table)
            return (result, state.afterChange())
        }
        if slotIsFree { listeners.slotIsFree() }
        return result
    }

    // MARK: Outcomes, decided by handlers

    /// The message was handled.
    func acknowledge(_ message: GroupMessage) {
        // Not by `decide`: here reference counting would cost as much as all the rest.
        let decided = state.withLock { $0.acknowledge(message.batch, message.position) }
        notify(decided)
    }

    /// The message was handled, and its handler emitted entries.
    func publish(_ message: GroupMessage, _ outputs: [Publication.Output]) {
        if outputs.isEmpty { return acknowledge(message) }
        let publication = Publication(id: message.id, outputs: outputs, count: message.deliveryCount)
        decide { $0.publish(message.batch, message.position, publication) }
    }

    /// The handler has failed.
    func fail(_ message: GroupMessage, because error: any Error) {
        observer.failed(message.id)
        // The message was acknowledged before it was handled, or never was pending.
        if !keepsPending { return observer.log.lost(message.id, because: rules.text(of: error)) }
        switch rules.disposition(of: message, after: error, jitter: randomness()) {
        case .retry(let delay):
            let requeue = retry(message.id, message.deliveryCount, after: delay)
            guard decide({ $0.requeue(message.batch, message.position, requeue) }) else { return }
            observer.report(
                .retrying(id: message.id, failures: requeue.count.failures, after: delay),
                because: rules.text(of: error)
            )
        case .deadLetter(let reason, let deadLetter):
            let publication = deadLetter.publication(of: message.message, group: group, reason: reason)
            decide { $0.publish(message.batch, message.position, publication) }
        case .drop(let reason):
            guard decide({ $0.acknowledge(message.batch, message.position) }) else { return }
            observer.report(.rejected(id: message.id, reason: reason))
        }
    }

    /// The server refused the entries that a handler emitted: that counts as a failure of the handler.
    func refused(_ publication: Publication) {
        observer.failed(publication.id)
        let delay = rules.retry.delay(failures: publication.count.failed.failures, jitter: randomness())
        let requeue = retry(publication.id, publication.count, after: delay)
        observer.report(.retrying(id: requeue.id, failures: requeue.count.failures, after: delay))
        settle(.requeue([requeue]))
    }

    private func retry(_ id: StreamID, _ count: DeliveryCount, after delay: Duration) -> Requeue {
        Requeue(id: id, count: count.failed, due: eventLoop.now + TimeAmount(delay))
    }

    /// The message was not handled, and did not fail: it is returned, so that other consumers may claim it at once.
    func requeue(_ message: GroupMessage) {
        if !keepsPending { return observer.log.lost(message.id, because: "its handler was cancelled") }
        if !returnsUnhandled { return change { $0.disown(message.batch, message.position) } }
        let requeue = Requeue(returning: message.id, message.deliveryCount)
        decide { $0.requeue(message.batch, message.position, requeue) }
    }

    /// Decides on the outcome of a message. Returns `false` if it has one already, or was lost.
    @discardableResult
    private func decide(_ decision: (inout PendingTable) -> Bool) -> Bool {
        let decided = state.withLock { $0.decide(decision) }
        notify(decided)
        return decided.isDecided
    }

    private func notify(_ decided: Decided) {
        if decided.freesSlot { listeners.slotIsFree() }
        if decided.mustWake { listeners.outcomesWait() }
    }

    // MARK: Ownership

    /// Whether a message was lost, or its lease has expired while it waited here: then another consumer may handle it
    /// at the same time. A message with an expired lease is requeued, since no process has crashed on it.
    func requeueIfStale(_ message: GroupMessage, at time: NIODeadline?) -> Bool {
        if message.batch.mayHaveLosses, !hasNoOutcome(message) { return true }
        guard let lease, let time, message.batch.leaseStart + lease <= time else { return false }
        requeue(message)
        return true
    }

    /// Whether this consumer owns the message now, and it has no outcome. A process that stalled learns only from the
    /// clock that its leases have expired.
    func isHeld(_ message: GroupMessage) -> Bool { hasNoOutcome(message) && !hasExpired(message.batch) }

    /// Whether another consumer owns the message now, or may own it.
    func isLost(_ message: GroupMessage) -> Bool {
        hasNoOutcome(message) ? hasExpired(message.batch) : message.batch.mayHaveLosses
    }

    private func hasExpired(_ batch: DeliveredBatch) -> Bool {
        guard let lease else { return false }
        return batch.leaseStart + lease <= leaseTime
    }

    /// Whether the message has no outcome here, and was not lost.
    func hasNoOutcome(_ message: GroupMessage) -> Bool {
        state.withLock { _ in message.batch.isHeld[message.position] }
    }

    func hasNoOutcome(_ batch: DeliveredBatch, _ position: Int) -> Bool {
        state.withLock { _ in batch.isHeld[position] }
    }

    // MARK: Sending outcomes

    /// Queues the outcome of messages that are not held.
    func settle(_ settlement: Settlement) {
        change { $0.settle(settlement) }
        wakeAcknowledger()
    }

    /// Has the acknowledger send what is queued.
    func wakeAcknowledger() { listeners.outcomesWait() }

    func nextSettlement(atMost limit: Int, _ reach: Outbox.Reach = .all) -> SentSettlement? {
        let now = leaseTime
        return state.withLock { $0.table.nextSettlement(atMost: limit, now: now, reach) }
    }

    func confirm(_ sent: SentSettlement, requeueing: PendingTable.RequeueOutcome? = nil) {
        let isFinished = change { table in
            table.confirm(sent, requeueing: requeueing)
            return table.isFinished
        }
        if isFinished { slowPath.fire() }
    }

    func restore(_ sent: SentSettlement) {
        change { $0.restore(sent) }
        wakeSlowPath()
    }

    // MARK: The acknowledger

    /// The timer of the acknowledger begins to run. Returns `false` if it runs already.
    func beginCoalescing() -> Bool { state.withLock { $0.acknowledger.beginCoalescing() } }

    func endCoalescing() {
        wakeIfNeeded { acknowledger, hasQueued in acknowledger.endCoalescing(hasQueued: hasQueued) }
    }

    /// Whether outcomes are covered by the next read.
    var isCoveredByRead: Bool { state.withLock { $0.acknowledger.isCoveredByRead } }

    /// Sets whether outcomes are covered by the next read.
    func setCoveredByRead(_ isCovered: Bool) {
        wakeIfNeeded { acknowledger, hasQueued in acknowledger.setCoveredByRead(isCovered, hasQueued: hasQueued) }
    }

    private func wakeIfNeeded(_ body: (inout AcknowledgerStateMachine, Bool) -> Bool) {
        let mustWake = state.withLock { state in body(&state.acknowledger, state.table.hasSendable) }
        if mustWake { listeners.outcomesWait() }
    }

    /// Wakes the slow path: it sends settlements that could not be sent at once.
    func wakeSlowPath() {
        state.withLock { $0.acknowledger.wakeSlowPath() }
        slowPath.fire()
    }

    /// Waits until there is something to send for the slow path: settlements are queued, and it was woken or the owner
    /// of the handlers has finished. Returns `false` when nothing more can be queued, and on cancellation unless
    /// `inAnyCase`.
    func waitForSlowPath(inAnyCase: Bool) async -> Bool {
        while true {
            let (isWoken, hasQueued, isSending, isFinished) = state.withLock { state in
                let isWoken = state.acknowledger.takeSlowPathWake()
                return (isWoken, state.table.hasQueued, state.table.isSending, state.table.isFinished)
            }
            if hasQueued, isWoken || isFinished { return true }
            // A settlement that was sent returns to the queue if its reply is lost.
            if (isFinished && !isSending) || (Task.isCancelled && !inAnyCase) { return false }
            if inAnyCase { await slowPath.waitInAnyCase() } else { await slowPath.wait() }
        }
    }

    /// Whether the owner of the handlers, a run or a loop, has finished: it handles no more messages.
    var isFinished: Bool { state.withLock { $0.table.isFinished } }

    /// The owner of the handlers has finished; no handler got the messages of `rest`. Returns whether this call was the
    /// first.
    func finish(rest: [GroupMessage]) -> Bool {
        let isFirst = change { $0.finish(rest: rest, returnsRest: returnsUnhandled) }
        slowPath.fire()
        return isFirst
    }

    /// Returns messages that arrived in the buffer after `finish` had emptied it.
    func returnLate(_ messages: [GroupMessage]) {
        if messages.isEmpty || !returnsUnhandled { return }
        if change({ $0.returnLate(messages) }) { slowPath.fire() }
    }

    /// Holds a batch that has arrived. Returns `false` if the owner of the handlers has finished: then the messages are
    /// returned.
    func hold(_ batch: DeliveredBatch) -> Bool {
        let isHeld = change { table in
            if table.isFinished { table.returnAll(batch) } else { table.hold(batch) }
            return !table.isFinished
        }
        if !isHeld { slowPath.fire() }
        return isHeld
    }
}

extension PendingMessages.State {
    /// Decides on the outcome of a message.
    fileprivate mutating func decide(_ decision: (inout PendingTable) -> Bool) -> PendingMessages.Decided {
        let hadQueued = table.hasSendable
        return decided(decision(&table), hadQueued: hadQueued)
    }

    fileprivate mutating func acknowledge(_ batch: DeliveredBatch, _ position: Int) -> PendingMessages.Decided {
        let hadQueued = table.hasSendable
        return decided(table.acknowledge(batch, position), hadQueued: hadQueued)
    }

    @inline(__always)
    private mutating func decided(_ isDecided: Bool, hadQueued: Bool) -> PendingMessages.Decided {
        let mustWake = table.hasSendable && acknowledger.mustWake(hadQueued: hadQueued)
        return .init(isDecided: isDecided, mustWake: mustWake, freesSlot: afterChange())
    }

    /// Notifies the buffer of the number of publications held back. Returns the listener to call for a free slot,
    /// without the lock.
    fileprivate mutating func afterChange() -> Bool {
        let count = table.heldBackCount
        if count != heldBack {
            heldBack = count
            listeners.heldBack(count)
        }
        return table.takeFreedSlot()
    }
}
