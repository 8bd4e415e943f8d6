internal import NIOCore
internal import Synchronization

/// What a running group consumer shares between its engine and the tasks that handle messages: the mailbox between
/// them, and the ledger of what is held and what is to be acknowledged.
final class GroupSession: Sendable {
    private struct State: ~Copyable {
        var ledger = SettlementLedger()
        /// Nobody handles messages any more.
        var isDone = false
        /// What is due will be seen to, without anybody being told.
        var isAttended = false
        /// What is due needs somebody who takes his time.
        var isAlarmed = false
        var onDue: @Sendable () -> Void = {}
    }

    let mailbox: Mailbox<DeliveredMessages>
    /// Where the engine runs, and whose clock is looked at.
    let eventLoop: any EventLoop
    /// The group that is read for.
    let group: String
    private let state = Mutex(State())
    private let alarm = Signal()

    init(group: String, prefetch: Int, bytes: Int = .max, eventLoop: any EventLoop) {
        self.group = group
        self.eventLoop = eventLoop
        mailbox = Mailbox(prefetch: prefetch, bytes: bytes)
    }

    // MARK: The side of the handlers

    /// The message has been handled, and is to be acknowledged.
    func settle(_ message: GroupMessage) {
        let hasToTell = state.withLock { state in
            let hadDue = state.ledger.hasDue
            return state.ledger.settle(message.batch, message.position) && !hadDue && !state.isAttended
        }
        if hasToTell { tell() }
    }

    private func tell() {
        state.withLock { $0.onDue }()
    }

    /// The message has not been handled.
    func release(_ message: GroupMessage) {
        state.withLock { $0.ledger.release(message.batch, message.position) }
    }

    /// The message has been acknowledged, with the server's word.
    func acknowledged(_ message: GroupMessage) {
        state.withLock { $0.ledger.acknowledged(message.batch, message.position) }
    }

    /// Gives a message up that has waited here for so long that another consumer may have claimed it: handled now, it
    /// could be handled twice at the same time. Returns whether it did.
    func giveUpIfStale(_ message: GroupMessage) -> Bool {
        guard let freshUntil = message.batch.freshUntil, freshUntil <= eventLoop.now else { return false }
        release(message)
        return true
    }

    /// Nobody handles messages any more: what is due is sent, what is held stays pending, and the engine ends.
    func finish() {
        mailbox.stop()
        state.withLock { state in
            state.isDone = true
            state.ledger.releaseAll()
        }
        alarm.fire()
    }

    // MARK: The side of the engine

    /// Has `body` called when something is due that nobody sees to.
    func onDue(_ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.onDue = body }
    }

    /// Says whether what is due will be seen to: then nobody has to be told of it.
    func attend(_ isAttended: Bool) {
        let hasToTell = state.withLock { state in
            let wasAttended = state.isAttended
            state.isAttended = isAttended
            return wasAttended && !isAttended && state.ledger.hasDue && !state.isAlarmed
        }
        if hasToTell { tell() }
    }

    var isDone: Bool { state.withLock { $0.isDone } }

    /// Something is sent that may bring what is pending for this consumer, or was when the server looked.
    func beginLookingBack() { state.withLock { $0.ledger.beginLookingBack() } }

    /// What it has brought has been compared with what is known.
    func endLookingBack() { state.withLock { $0.ledger.endLookingBack() } }

    /// Leaves out of a batch what this consumer holds already.
    func leavingOutKnown(_ batch: MessageBatch) -> MessageBatch {
        state.withLock { $0.ledger.leavingOutKnown(batch) }
    }

    /// Hands a batch over. If `isHeld`, its messages are repetitions until they are settled or released.
    func deliver(_ batch: MessageBatch, source: GroupMessage.Source, isHeld: Bool, freshUntil: NIODeadline? = nil) {
        guard !batch.isEmpty else { return }
        let delivered = DeliveredBatch(batch, source: source, session: self, freshUntil: freshUntil)
        // A reply may come when nobody handles any more.
        if isHeld { state.withLock { if !$0.isDone { $0.ledger.hold(delivered) } } }
        mailbox.deliver(DeliveredMessages(batch: delivered), bytes: batch.byteCount)
    }

    /// Has ids acknowledged that are not handed out.
    func acknowledge(_ ids: [StreamID]) {
        state.withLock { $0.ledger.acknowledge(ids) }
        tell()
    }

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

    func takeDue(atMost limit: Int) -> [StreamID] { state.withLock { $0.ledger.takeDue(atMost: limit) } }

    func confirm(_ ids: [StreamID]) {
        let isDone = state.withLock { state in
            state.ledger.confirm(ids)
            return state.isDone
        }
        if isDone { alarm.fire() }
    }

    func restore(_ ids: [StreamID]) {
        state.withLock { $0.ledger.restore(ids) }
        raiseAlarm()
    }
}
