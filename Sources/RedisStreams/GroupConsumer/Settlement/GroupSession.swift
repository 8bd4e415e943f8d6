internal import NIOCore
internal import Synchronization

/// What a running group consumer shares between its engine and the tasks that handle messages: the buffer between
/// them, and the ledger of what is held and what is to be settled.
final class GroupSession: Sendable {
    fileprivate struct State: ~Copyable {
        var ledger: SettlementLedger
        /// Nobody handles messages any more.
        var isDone = false
        /// What is due will be seen to, without anybody being told.
        var isAttended = false
        /// What is due needs somebody who takes his time.
        var isAlarmed = false
        var onDue: @Sendable () -> Void = {}
        var onQuarantineEnded: @Sendable ([StreamID]) -> Void = { _ in }
        /// How many messages the buffer counts as handled and not settled for now.
        var heldBack = 0
        /// By their numbers.
        var slots: [Int: HandlerSlot] = [:]
        var lastSlot = 0
        /// What was handed out, and had no outcome when nobody handled any more.
        var kept: Set<StreamID> = []
        /// What was given back at the end.
        var returned: Set<StreamID> = []
    }

    let buffer: MessageBuffer<DeliveredMessages>
    /// Where the engine runs.
    let eventLoop: any EventLoop
    private let leaseClock: LeaseClock
    /// The group that is read for.
    let group: String
    /// Whether messages are pending on the server while they are handled.
    let keepsPending: Bool
    /// What becomes of messages that fail.
    let rules: FailureRules
    let observer: ConsumerObserver
    /// Whether what was not handled is given back, rather than left to the end of its lease.
    private let handsOver: Bool
    private let randomness: @Sendable () -> Double
    private let lease: TimeAmount?
    private let state: Mutex<State>
    private let alarm = Signal()
    /// What a loop is at work on, for those who look how long handlers run.
    private let loop = HandlerSlot()

    init(
        group: String,
        keepsPending: Bool = true,
        prefetch: Int,
        bytes: Int = .max,
        budget: PrefetchBudget? = nil,
        leasePolicy: SettlementLedger.LeasePolicy = .init(),
        rules: FailureRules = FailureRules(),
        observer: ConsumerObserver = ConsumerObserver(),
        handsOver: Bool = true,
        randomness: @escaping @Sendable () -> Double = { .random(in: 0...1) },
        eventLoop: any EventLoop,
        leaseClock: LeaseClock = .eventLoop
    ) {
        self.group = group
        self.keepsPending = keepsPending
        self.eventLoop = eventLoop
        self.leaseClock = leaseClock
        self.rules = rules
        self.observer = observer
        self.handsOver = handsOver
        self.randomness = randomness
        lease = leasePolicy.lease
        state = Mutex(State(ledger: SettlementLedger(leasePolicy)))
        buffer = MessageBuffer(prefetch: prefetch, bytes: bytes, budget: budget)
    }

    /// The time that leases go by. What is timed by the event loop goes by the time of that.
    var leaseTime: NIODeadline { leaseClock.now(on: eventLoop) }

    // MARK: The side of the handlers

    /// The message has been handled, and is to be acknowledged.
    func settle(_ message: GroupMessage) {
        decide { $0.settle(message.batch, message.position) }
    }

    /// The message has been handled, and entries come of it.
    func publish(_ message: GroupMessage, _ outputs: [Publication.Output]) {
        if outputs.isEmpty { return settle(message) }
        let publication = Publication(id: message.id, outputs: outputs, count: message.deliveryCount)
        decide { $0.publish(message.batch, message.position, publication) }
    }

    /// The handler has failed.
    func fail(_ message: GroupMessage, because error: any Error) {
        observer.count { $0.failures += 1 }
        // It is acknowledged already, or never was pending.
        if !keepsPending { return observer.log.lost(message.id, because: rules.text(of: error)) }
        switch rules.disposition(of: message, after: error, jitter: randomness()) {
        case .retry(let delay):
            let requeue = again(message.id, message.deliveryCount, after: delay)
            guard decide({ $0.requeue(message.batch, message.position, requeue) }) else { return }
            observer.report(
                .retrying(id: message.id, failures: requeue.count.failures, after: delay),
                because: rules.text(of: error)
            )
        case .deadLetter(let deadLetterReason, let deadLetterEntry):
            let publication = deadLetterEntry.publication(of: message.message, group: group, deadLetterReason: deadLetterReason)
            decide { $0.publish(message.batch, message.position, publication) }
        case .drop(let reason):
            guard decide({ $0.settle(message.batch, message.position) }) else { return }
            observer.report(.rejected(id: message.id, reason: reason))
        }
    }

    /// What is to come of a message cannot be: that is a failure of its handler, who has chosen the streams.
    func refused(_ publication: Publication) {
        observer.count { $0.failures += 1 }
        let delay = rules.retry.delay(failures: publication.count.failed.failures, jitter: randomness())
        let requeue = again(publication.id, publication.count, after: delay)
        observer.report(.retrying(id: requeue.id, failures: requeue.count.failures, after: delay))
        add(.requeue([requeue]))
    }

    private func again(_ id: StreamID, _ count: DeliveryCount, after delay: Duration) -> Requeue {
        Requeue(id: id, count: count.failed, due: eventLoop.now + TimeAmount(delay))
    }

    /// The message has not been handled, through no fault of its own: others may have it at once.
    func handBack(_ message: GroupMessage) {
        if !handsOver { return release(message) }
        let requeue = Requeue(returning: message.id, message.deliveryCount)
        decide { $0.requeue(message.batch, message.position, requeue) }
    }

    /// The message has not been handled, and stays as it is.
    func release(_ message: GroupMessage) {
        change { $0.ledger.release(message.batch, message.position) }
    }

    /// The message has been acknowledged, with the server's word.
    func acknowledged(_ message: GroupMessage) {
        change { $0.ledger.acknowledged(message.batch, message.position) }
    }

    /// Decides on the disposition of a message. Returns `false` if that was decided before, or is others' business now.
    @discardableResult
    private func decide(_ decision: (inout SettlementLedger) -> Bool) -> Bool {
        let (isDecided, hasToTell) = change { state in
            let hadDue = state.ledger.hasUsual
            let isDecided = decision(&state.ledger)
            return (isDecided, !hadDue && state.ledger.hasUsual && !state.isAttended)
        }
        if hasToTell { tell() }
        return isDecided
    }

    /// Changes something, and tells the engine if quarantined messages have ended with that.
    private func change<Result>(_ body: (inout State) -> Result) -> Result {
        let (result, ended, onEnded) = state.withLock { state in
            let result = body(&state)
            // With the lock, so that the last word is the newest.
            if let heldBack = state.changedHeldBack() { buffer.setHeldBack(heldBack) }
            let ended = state.ledger.takeEndedQuarantined()
            return (result, ended, ended.isEmpty ? nil : state.onQuarantineEnded)
        }
        onEnded?(ended)
        return result
    }

    private func tell() {
        state.withLock { $0.onDue }()
    }

    /// The time at which a message is handed out: for its lease, and for those that are measured.
    func handOutTime(isMeasured: Bool) -> NIODeadline? { lease != nil || isMeasured ? leaseTime : nil }

    /// Gives a message up that was lost to others, or has waited here for so long that it may have been: handled now, it
    /// could be handled twice at the same time. It has not been handled, so nobody has crashed with it. Returns whether it did.
    func giveUpIfStale(_ message: GroupMessage, at time: NIODeadline?) -> Bool {
        if message.batch.mayHaveLosses, !isOpen(message) { return true }
        guard let lease, let time, message.batch.leaseStart + lease <= time else { return false }
        handBack(message)
        return true
    }

    /// A handler took so long. Returns whether each is to be measured for now.
    func handled(since time: NIODeadline) -> Bool { buffer.handled(in: leaseTime - time) }

    /// Whether the message is this consumer's now, and its disposition undecided. A process that stood still learns by the clock
    /// alone that its leases have run out: nobody has told it yet.
    func isHeld(_ message: GroupMessage) -> Bool { isOpen(message) && !hasLapsed(message.batch) }

    /// Whether another consumer owns the message now, or may own it.
    func isLost(_ message: GroupMessage) -> Bool {
        isOpen(message) ? hasLapsed(message.batch) : message.batch.mayHaveLosses
    }

    /// Whether the lease of a batch has run out at this moment.
    private func hasLapsed(_ batch: DeliveredBatch) -> Bool {
        guard let lease else { return false }
        return batch.leaseStart + lease <= leaseTime
    }

    /// Whether the disposition of the message is undecided here.
    func isOpen(_ message: GroupMessage) -> Bool {
        state.withLock { _ in message.batch.isOpen[message.position] }
    }

    func isOpen(_ batch: DeliveredBatch, _ position: Int) -> Bool { state.withLock { _ in batch.isOpen[position] } }

    /// A worker begins.
    func add(_ slot: HandlerSlot) {
        state.withLock { state in
            state.lastSlot += 1
            slot.number = state.lastSlot
            state.slots[state.lastSlot] = slot
        }
    }

    /// A worker has ended.
    func remove(_ slot: HandlerSlot) { state.withLock { $0.slots[slot.number] = nil } }

    /// Cancels the handlers that are at work.
    func cancelHandlers() {
        for slot in state.withLock({ $0.slots }).values { slot.cancelIfHandling() }
    }

    /// All that can be at work: the workers, and the one loop.
    private var handlers: [HandlerSlot] {
        loop.observe(buffer.handed.map { HeldPosition(batch: $0.batch, position: $0.position) })
        return [loop] + state.withLock { $0.slots }.values
    }

    /// The messages whose handlers run for longer than `time`, and for how long; each once, and again whenever that doubles.
    func overdueHandlers(after time: TimeAmount) -> [(id: StreamID, age: TimeAmount)] {
        let now = leaseTime
        return handlers.compactMap { $0.overdue(at: now, after: time) }
    }

    /// Tells of what is at work for as long as there is this session.
    var snapshotIfAlive: @Sendable () -> ConsumerSnapshot? { { [weak self] in self?.snapshot } }

    /// What is at work, and what waits, at this moment.
    var snapshot: ConsumerSnapshot {
        let now = leaseTime
        let ages = handlers.compactMap { $0.age(at: now) }
        return ConsumerSnapshot(
            handling: ages.count,
            oldestHandling: ages.max().map { .nanoseconds($0.nanoseconds) },
            waiting: buffer.waitingMessages,
            oldestWaiting: longestWait.map { .nanoseconds(max(0, $0.nanoseconds)) }
        )
    }

    /// Nobody handles messages any more: what is due is sent, what was not handed out is given back, and the engine ends.
    func finish() {
        buffer.stop()
        let rest = buffer.takeRest()
        let isFirst = state.withLock { state in
            defer { state.isDone = true }
            if state.isDone { return false }
            for message in rest where handsOver && message.batch.isOpen[message.position] {
                let requeue = Requeue(returning: message.id, message.deliveryCount)
                _ = state.ledger.requeue(message.batch, message.position, requeue)
            }
            for batch in state.ledger.held.batches { state.kept.formUnion(state.ledger.openIDs(of: batch)) }
            state.ledger.releaseAll()
            return true
        }
        giveBackLate(besides: isFirst ? [] : rest)
        alarm.fire()
    }

    // MARK: The side of the engine

    /// Has `body` called when something is due that nobody sees to.
    func onDue(_ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.onDue = body }
    }

    /// Has `body` called with quarantined messages whose handling has ended.
    func onQuarantineEnded(_ body: @escaping @Sendable ([StreamID]) -> Void) {
        state.withLock { $0.onQuarantineEnded = body }
    }

    /// Says whether what is due will be seen to: then nobody has to be told of it.
    func attend(_ isAttended: Bool) {
        let hasToTell = state.withLock { state in
            let wasAttended = state.isAttended
            state.isAttended = isAttended
            return wasAttended && !isAttended && state.ledger.hasUsual && !state.isAlarmed
        }
        if hasToTell { tell() }
    }

    var isDone: Bool { state.withLock { $0.isDone } }

    /// Something is sent that may bring what is pending for this consumer, or was when the server looked.
    func beginLookingBack() { state.withLock { $0.ledger.beginLookingBack() } }

    /// What it has brought has been compared with what is known.
    func endLookingBack() { state.withLock { $0.ledger.endLookingBack() } }

    /// Which of the ids this consumer does not know to be its own. Nor are those unknown whose handlers are at work although
    /// their leases were lost: they must not run twice at a time here.
    func unknown(among ids: [StreamID]) -> [StreamID] {
        if ids.isEmpty { return [] }
        let (unknown, slots) = state.withLock { ($0.ledger.unknown(among: ids), $0.slots) }
        let atWork = Set(slots.values.compactMap(\.handledID))
        return atWork.isEmpty ? unknown : unknown.filter { !atWork.contains($0) }
    }

    /// Which of the ids a handler is at work on, whether it still owns them or not.
    func handled(among ids: [StreamID]) -> Set<StreamID> {
        let slots = state.withLock { $0.slots }
        return Set(slots.values.compactMap(\.handledID)).intersection(ids)
    }

    /// Whether a handler is at work.
    var isHandling: Bool {
        let slots = state.withLock { $0.slots }
        return buffer.handed != nil || slots.values.contains { $0.handledID != nil }
    }

    /// Whether a handler is at work on a message that it does not own any more.
    var handlesLostMessages: Bool {
        let slots = state.withLock { $0.slots }
        return slots.values.contains { $0.handlesLostMessage }
    }

    /// The group was lost, with all that was pending in it: handlers are told, and what becomes of their messages has no
    /// effect. Returns the ids of what was held.
    func beginEpoch() -> [StreamID] {
        let (lost, slots) = change { state in (state.ledger.beginEpoch(), state.slots) }
        cancel(lost, slots)
        return lost.map(\.id)
    }

    private func cancel(_ lost: [HeldPosition], _ slots: [Int: HandlerSlot]) {
        if lost.isEmpty { return }
        let lost = Set(lost)
        for slot in slots.values { slot.cancel(ifHandling: lost) }
    }

    /// Ids without their messages are this consumer's all the same.
    func wait(for ids: [StreamID]) { state.withLock { $0.ledger.wait(for: ids) } }

    func stopWaiting(for ids: [StreamID]) { state.withLock { $0.ledger.stopWaiting(for: ids) } }

    /// Hands a batch over. If `isHeld`, its messages are repetitions until they are settled or released.
    func deliver(_ delivered: DeliveredBatch, bytes: Int, isHeld: Bool) {
        // A reply may come when nobody handles any more.
        let isDone = state.withLock { state in
            if isHeld, !state.isDone { state.ledger.hold(delivered) }
            if isHeld, state.isDone { state.giveBack(delivered) }
            return state.isDone
        }
        if isDone { return alarm.fire() }
        observer.count { $0.delivered += delivered.storage.entries.count }
        buffer.deliver(DeliveredMessages(batch: delivered), bytes: bytes, isUrgent: delivered.isQuarantined)
        giveBackLate()
    }

    /// Gives back what has waited here for so long: others may have free handlers. Returns how many messages that are.
    func giveBack(waitingFor time: TimeAmount) -> Int {
        let latest = leaseTime - time
        let messages = buffer.remove(waitedFor: time) { $0.batch.arrived <= latest }
        for message in messages { handBack(message) }
        observer.count { $0.returned += messages.count }
        return messages.count
    }

    /// For how long the message has waited that came first; `nil` if there is none.
    var longestWait: TimeAmount? { buffer.minimum(of: \.batch.arrived).map { leaseTime - $0 } }

    /// Gives back what came between the last look into the buffer and the end: the later one of deliverer and finisher
    /// finds it.
    private func giveBackLate(besides taken: [GroupMessage] = []) {
        guard isDone else { return }
        let rest = (taken + buffer.takeRest()).filter { handsOver && isOpen($0) }
        if rest.isEmpty { return }
        state.withLock { state in
            state.kept.subtract(rest.map(\.id))
            state.ledger.add(.requeue(rest.map { Requeue(returning: $0.id, $0.deliveryCount) }))
        }
        alarm.fire()
    }

    /// Has something settled that is not held.
    func add(_ settlement: Settlement) {
        change { $0.ledger.add(settlement) }
        tell()
    }

    /// Whether a settlement is of the group as it is now.
    func isCurrent(_ sent: SentSettlement) -> Bool { state.withLock { $0.ledger.isCurrent(sent.number) } }

    // MARK: Leases

    /// The batches whose leases are older than `time`, with the ids of their open messages; and the ids that wait.
    func leases(leaseStartedBefore time: NIODeadline) -> (batches: [(DeliveredBatch, [StreamID])], waiting: [StreamID]) {
        state.withLock { state in
            let batches = state.ledger.batches(leaseStartedBefore: time).map { ($0, state.ledger.openIDs(of: $0)) }
            return (batches, state.ledger.unheldIDs)
        }
    }

    /// Messages are others' now, or may be: their handlers are told, and what becomes of them here has no effect.
    /// Returns the ids of those that were held.
    func lose(_ ids: [StreamID]) -> [StreamID] {
        if ids.isEmpty { return [] }
        let (lost, slots) = change { state in (state.ledger.lose(ids), state.slots) }
        cancel(lost, slots)
        return lost.map(\.id)
    }

    /// Messages are of no account any more: their entries are deleted.
    func forget(_ ids: [StreamID]) {
        if !ids.isEmpty { change { $0.ledger.forget(ids) } }
    }

    /// Whether something is to be sent, or will be when it has been handled.
    var hasUnsettled: Bool { state.withLock { $0.ledger.held.count > 0 || $0.ledger.hasDue } }

    /// Whether messages are held.
    var isHolding: Bool { state.withLock { $0.ledger.held.count > 0 } }

    /// Which of the ids are this consumer's without their messages being here.
    func waiting(among ids: [StreamID]) -> [StreamID] {
        state.withLock { state in ids.filter(state.ledger.waiting.contains) }
    }

    /// Ids whose messages are not here, and that are this consumer's all the same.
    var waitingIDs: Set<StreamID> { state.withLock { $0.ledger.waiting } }

    /// What was handed out, and had no outcome when nobody handled any more: somebody may still be at work on it.
    var keptAtEnd: Set<StreamID> { state.withLock { $0.kept } }

    /// What is decided, and not known to the server.
    var unsettledIDs: [StreamID] { state.withLock { $0.ledger.unsettledIDs } }

    /// What was given back at the end, and is not given back again.
    var returnedAtEnd: Set<StreamID> { state.withLock { $0.returned } }

    /// These were given back at the end.
    func returnedAtEnd(_ ids: [StreamID]) { state.withLock { $0.returned.formUnion(ids) } }

    // MARK: Settlements on their way

    /// Wakes who waits for an alarm.
    func raiseAlarm() {
        state.withLock { $0.isAlarmed = true }
        alarm.fire()
    }

    /// Waits until something is due and there was an alarm, or nobody handles messages any more. Returns `false` when
    /// there will be nothing more, and on cancellation, unless it has to wait in any case.
    func waitForAlarm(inAnyCase: Bool) async -> Bool {
        while true {
            let (isAlarmed, hasDue, isSending, isDone) = state.withLock { state in
                defer { state.isAlarmed = false }
                return (state.isAlarmed, state.ledger.hasDue, state.ledger.isSending, state.isDone)
            }
            if hasDue, isAlarmed || isDone { return true }
            // What is on its way may come back.
            if (isDone && !isSending) || (Task.isCancelled && !inAnyCase) { return false }
            if inAnyCase { await alarm.waitInAnyCase() } else { await alarm.wait() }
        }
    }

    func takeDue(atMost limit: Int, _ reach: SettlementLedger.Reach = .all) -> SentSettlement? {
        let now = leaseTime
        return state.withLock { $0.ledger.takeDue(atMost: limit, now: now, reach) }
    }

    func confirm(_ number: Int) {
        let isDone = change { state in
            state.ledger.confirm(number)
            return state.isDone
        }
        if isDone { alarm.fire() }
    }

    func restore(_ number: Int) {
        change { $0.ledger.restore(number) }
        raiseAlarm()
    }
}

extension GroupSession.State {
    /// How many messages are handled and not settled for now, if it is another number than before.
    fileprivate mutating func changedHeldBack() -> Int? {
        let count = ledger.heldBackCount
        guard count != heldBack else { return nil }
        heldBack = count
        return count
    }

    /// Gives a batch back that came when nobody handled any more.
    fileprivate mutating func giveBack(_ batch: DeliveredBatch) {
        let requeues = batch.isOpen.indices.map { position in
            Requeue(returning: batch.id(at: position), batch.count(at: position))
        }
        ledger.add(.requeue(requeues))
    }
}
