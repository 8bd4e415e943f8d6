import RedisStreams

/// Tracks what really happens in a run, and records each violation of an invariant.
///
// SAFETY: there is one thread.
final class Checker: @unchecked Sendable {
    /// A running handler.
    struct Run {
        let node: Node
        let id: StreamID
        let begun: VirtualTime
        /// How many processes may have crashed on the message, as the consumer counts.
        var crashes = 0
        /// Whether its consumer has cancelled it, as it does when it loses the message.
        var isCancelled = false
    }

    /// What the checker knows of one message.
    struct Record {
        /// How many handlers have begun, and how many have returned without an error, in processes that lived.
        var begun = 0
        var done = 0
        /// How many handlers have thrown.
        var failed = 0
        var rejected = false
        /// How many processes were killed while they handled it.
        var crashes = 0
        /// Whether it was removed from the pending list, and whether it became a dead letter.
        var isSettled = false
        var isDeadLetter = false
        /// Whether the harness has destroyed it, or rolled the server back to a time before it.
        var isDestroyed = false
        var confirmed: VirtualTime?
        var firstDone: VirtualTime?
        var firstBegun: VirtualTime?

        /// Whether it should have been handled, and was not.
        var isMissing: Bool { confirmed != nil && done == 0 && !isDestroyed && !rejected && !isDeadLetter }
    }

    private let trace: Trace
    private let now: () -> VirtualTime
    private(set) var records: [StreamID: Record] = [:]
    private(set) var running: [Int: Run] = [:]
    private var lastRun = 0
    private(set) var violations: [String] = []
    /// How often two handlers ran on one message because a fault had kept the first owner from renewing its lease.
    private(set) var excusedOverlaps = 0

    init(trace: Trace, now: @escaping () -> VirtualTime) {
        self.trace = trace
        self.now = now
    }

    /// Records that an invariant does not hold.
    func violated(_ invariant: Invariant, _ details: String) {
        trace.record("VIOLATED", "\(invariant.rawValue): \(details)")
        violations.append("\(invariant.rawValue): \(details)")
    }

    // MARK: Producers

    /// The server has confirmed the message.
    func confirmed(_ id: StreamID) {
        records[id, default: Record()].confirmed = now()
    }

    /// The harness has destroyed the message.
    func destroyed(_ id: StreamID) {
        records[id, default: Record()].isDestroyed = true
    }

    // MARK: Handlers

    /// A handler begins. Returns the number of the run.
    func begin(_ id: StreamID, attempt: Int, crashes: Int, at node: Node) -> Int {
        lastRun += 1
        guard node.isAlive else { return lastRun }
        trace.record(node.name, "begins \(id), attempt \(attempt)")
        let failed = records[id]?.failed ?? 0
        if attempt > failed + 1 {
            let text = "\(node.name) gets attempt \(attempt) of \(id), which has failed \(failed) times"
            violated(.attemptsCountFailures, text)
        }
        let run = Run(node: node, id: id, begun: now(), crashes: crashes)
        checkQuarantine(of: run)
        for (_, other) in running.sorted(by: { $0.key < $1.key }) where other.id == id {
            if other.node === node {
                violated(.notTwiceAtOnce, "\(node.name) begins \(id), which it is handling since \(other.begun)")
            } else if other.isCancelled {
                // Its consumer knows that it has lost the message.
                continue
            } else if other.node.hinderedUntil >= now() || other.node.process.isStopped {
                excusedOverlaps += 1
            } else {
                violated(.oneOwner, "\(node.name) begins \(id), which \(other.node.name) handles since \(other.begun)")
            }
        }
        records[id, default: Record()].begun += 1
        if records[id]?.firstBegun == nil { records[id]?.firstBegun = now() }
        running[lastRun] = run
        return lastRun
    }

    /// How many quarantined messages a consumer may handle at a time.
    var quarantineSlots = Int.max
    /// Whether replies may have been lost, so that a consumer cannot know of every crash.
    var repliesMayBeLost = false

    /// Checks that quarantined messages use up to half of the handlers, and that none runs beside one that has more
    /// than one crash.
    private func checkQuarantine(of run: Run) {
        let others = running.values.filter { $0.node === run.node && $0.id != run.id && !$0.isCancelled }
        let all = (others + [run]).filter { $0.crashes > 0 }
        let crashes = all.map { repliesMayBeLost ? $0.crashes : records[$0.id]?.crashes ?? 0 }.max() ?? 0
        if run.crashes > 0, all.count > 1, crashes > 1 || all.count > quarantineSlots {
            violated(.quarantinedAlone, "\(run.node.name) begins \(run.id) beside \(others.map(\.id))")
        }
        if run.crashes == 0, !repliesMayBeLost, !others.isEmpty, records[run.id]?.crashes ?? 0 > 0 {
            violated(.quarantinedAlone, "\(run.node.name) does not know that \(run.id) has crashed a process")
        }
    }

    /// The task of a handler was cancelled.
    func cancelled(_ run: Int) {
        guard let id = running[run]?.id, let node = running[run]?.node else { return }
        trace.record(node.name, "cancels the handler of \(id)")
        running[run]?.isCancelled = true
    }

    enum Outcome { case done, failed, rejected, abandoned }

    /// A handler ends.
    func end(_ run: Int, _ outcome: Outcome) {
        guard let ended = running.removeValue(forKey: run), ended.node.isAlive else { return }
        trace.record(ended.node.name, "ends \(ended.id): \(outcome)")
        // However it ended, the message has not crashed this process.
        records[ended.id]?.crashes = 0
        switch outcome {
        case .done:
            records[ended.id]?.done += 1
            if records[ended.id]?.firstDone == nil { records[ended.id]?.firstDone = now() }
        case .failed: records[ended.id]?.failed += 1
        case .rejected: records[ended.id]?.rejected = true
        case .abandoned: break
        }
    }

    /// A process was killed, and all its handlers with it.
    func killed(_ node: Node) {
        for run in running.values where run.node === node { records[run.id]?.crashes += 1 }
        running = running.filter { $0.value.node !== node }
    }

    /// Whether a handler runs on a message, of one process or of any.
    func isRunning(_ id: StreamID, at node: Node? = nil) -> Bool {
        running.values.contains { $0.id == id && (node == nil || $0.node === node) }
    }

    func runningCount(at node: Node) -> Int {
        running.values.count { $0.node === node }
    }

    // MARK: The server

    /// A message of `owner` is no longer pending, because a node has settled it.
    func settled(_ id: StreamID, of owner: String, by node: Node, isDeadLetter: Bool) {
        guard let record = records[id], !record.isDestroyed else { return }
        records[id]?.isSettled = true
        records[id]?.isDeadLetter = isDeadLetter
        if isDeadLetter { deadLetters[id] = node }
        if record.done == 0, !record.rejected, !isDeadLetter {
            violated(.acknowledgedIsHandled, "\(node.name) acknowledges \(id), which no handler has finished")
        }
        if owner != node.name, ownersAreKnown {
            violated(.ownersSettle, "\(node.name) acknowledges \(id), which \(owner) owns")
        }
    }

    /// Whether the pending list names the owners that consumers know of: the server's clock has not jumped, and it has
    /// lost no data.
    var ownersAreKnown = true

    // MARK: Events

    /// The messages that became dead letters, and the nodes that published these.
    private(set) var deadLetters: [StreamID: Node] = [:]
    /// Those that an event has reported.
    private var reportedDeadLetters: Set<StreamID> = []
    /// How often the group was lost since a consumer last reported it.
    private var unreportedLosses = 0
    var hasUnreportedLosses: Bool { unreportedLosses > 0 }

    /// A consumer has reported an event.
    func reported(_ event: ConsumerEvent, by node: Node) {
        guard node.isAlive else { return }
        switch event {
        case .deadLettered(let id, _, _): reportedDeadLetters.insert(id)
        case .groupCreated, .leaseLost: unreportedLosses = 0
        default: break
        }
    }

    /// The group is gone, with all that was pending in it.
    func groupLost() { unreportedLosses += 1 }

    /// A rollback of the server has brought the lost group back.
    func groupIsBack() { unreportedLosses = 0 }

    /// Checks at the end that consumers have reported every lost group and every dead letter.
    ///
    /// - Parameter isExcused: Whether a fault may have kept a node from reporting.
    func checkReports(besides isExcused: (Node) -> Bool) {
        if unreportedLosses > 0 { violated(.abnormalEndsAreReported, "no consumer reports that the group was lost") }
        for (id, node) in deadLetters.sorted(by: { $0.key < $1.key })
        where !reportedDeadLetters.contains(id) && !isExcused(node) {
            violated(.abnormalEndsAreReported, "\(node.name) makes a dead letter of \(id), and does not report it")
        }
    }

    /// Marks all messages as handled, for scenarios that check by themselves whether they were.
    func markAllDone() {
        for id in records.keys { records[id]?.done = 1 }
    }

    /// The confirmed messages that no handler has finished, except destroyed, rejected and dead-lettered ones.
    var missing: [StreamID] {
        records.filter { $0.value.isMissing }.keys.sorted()
    }
}

/// What always holds; see Documentation/Decisions/0016-simulation.md.
enum Invariant: String, CaseIterable {
    case acknowledgedIsHandled = "an acknowledged message was handled"
    case notTwiceAtOnce = "a consumer does not receive a message that it is handling"
    case ownersSettle = "only the owner settles a message"
    case oneOwner = "a message has one owner at a time"
    case nothingLost = "no confirmed message is lost"
    case repliesInOrder = "a reply goes to the caller of its command"
    case neverGoesBack = "a reader never goes back without an event"
    case outputsOnce = "an output is added exactly once"
    case attemptsCountFailures = "attempts count failures only"
    case quarantinedAlone = "a message that may have crashed a process is handled in quarantine"
    case nothingWaits = "no message waits for a handler while another consumer has a free one"
    case everythingIsOwned = "a pending message is held, waits for its retry, or is claimed"
    case innocentsStay = "no message becomes a dead letter because of the crashes of others"
    case deadNamesAreRemoved = "the names of dead consumers are removed"
    case abnormalEndsAreReported = "lost groups and dead letters are reported"
    case endsClean = "in the end nothing is pending"
    case shutdownInTime = "a shutdown ends in time, and returns the rest to the group"
    case noBusyLoop = "no task runs in a busy loop"
    case noLeak = "no task and no connection is left"
}
