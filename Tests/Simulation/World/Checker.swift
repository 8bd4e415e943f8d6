import RedisStreams

/// Knows what has happened in truth, and says what must not have.
///
// SAFETY: there is one thread.
final class Checker: @unchecked Sendable {
    /// A handler at work.
    struct Run {
        let node: Node
        let id: StreamID
        let begun: VirtualTime
        /// How many processes may have died of it, as the consumer says.
        var crashes = 0
        /// Whether it was told that it owns the message no more.
        var isTold = false
    }

    /// What is known of one message.
    struct Record {
        /// How many handlers have begun, and how many have ended well, while their process lived.
        var begun = 0
        var done = 0
        /// How many handlers have thrown.
        var failed = 0
        var rejected = false
        /// How many processes have died while they handled it.
        var crashes = 0
        /// Whether it was taken out of the pending list, and whether into a dead letter.
        var isSettled = false
        var isBuried = false
        /// Whether the harness has destroyed it, or told the server to forget it.
        var isDestroyed = false
        var confirmed: VirtualTime?
        var firstDone: VirtualTime?
        var firstBegun: VirtualTime?

        /// Whether it should have been handled, and was not.
        var isMissing: Bool { confirmed != nil && done == 0 && !isDestroyed && !rejected && !isBuried }
    }

    private let trace: Trace
    private let now: () -> VirtualTime
    private(set) var records: [StreamID: Record] = [:]
    private(set) var running: [Int: Run] = [:]
    private var lastRun = 0
    private(set) var violations: [String] = []
    /// Of messages that ran twice at the same time although something kept the first owner from renewing.
    private(set) var excusedOverlaps = 0

    init(trace: Trace, now: @escaping () -> VirtualTime) {
        self.trace = trace
        self.now = now
    }

    /// Something was promised and is not so.
    func violated(_ invariant: Invariant, _ details: String) {
        trace.note("VIOLATED", "\(invariant.rawValue): \(details)")
        violations.append("\(invariant.rawValue): \(details)")
    }

    // MARK: Producers

    /// The server has said that it has the message.
    func confirmed(_ id: StreamID) {
        records[id, default: Record()].confirmed = now()
    }

    /// The harness has taken the message away.
    func destroyed(_ id: StreamID) {
        records[id, default: Record()].isDestroyed = true
    }

    // MARK: Handlers

    /// A handler begins. Returns the number of the run.
    func begin(_ id: StreamID, attempt: Int, crashes: Int, at node: Node) -> Int {
        lastRun += 1
        guard node.isAlive else { return lastRun }
        trace.note(node.name, "begins \(id), attempt \(attempt)")
        let failed = records[id]?.failed ?? 0
        if attempt > failed + 1 {
            let text = "\(node.name) is told attempt \(attempt) of \(id), which has failed \(failed) times"
            violated(.attemptsCountFailures, text)
        }
        let run = Run(node: node, id: id, begun: now(), crashes: crashes)
        checkAlone(run)
        for (_, other) in running.sorted(by: { $0.key < $1.key }) where other.id == id {
            if other.node === node {
                violated(.notTwiceInOne, "\(node.name) begins \(id), which it is handling since \(other.begun)")
            } else if other.isTold {
                // It has been told that it is another's.
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

    /// Up to how many messages that may have killed a process are handled at a time.
    var quarantineSlots = Int.max
    /// Whether replies may have been lost, so that a consumer cannot know of every crash.
    var repliesMayBeLost = false

    /// What may have killed a process is handled in up to half of the slots; and beside none of its kind, if it did so more
    /// than once.
    private func checkAlone(_ run: Run) {
        let others = running.values.filter { $0.node === run.node && $0.id != run.id && !$0.isTold }
        let all = (others + [run]).filter { $0.crashes > 0 }
        let crashes = all.map { repliesMayBeLost ? $0.crashes : records[$0.id]?.crashes ?? 0 }.max() ?? 0
        if run.crashes > 0, all.count > 1, crashes > 1 || all.count > quarantineSlots {
            violated(.quarantinedAlone, "\(run.node.name) begins \(run.id) beside \(others.map(\.id))")
        }
        if run.crashes == 0, !repliesMayBeLost, !others.isEmpty, records[run.id]?.crashes ?? 0 > 0 {
            violated(.quarantinedAlone, "\(run.node.name) does not know that \(run.id) has killed a process")
        }
    }

    /// A handler is told that the message is not its own any more.
    func told(_ run: Int) {
        guard let id = running[run]?.id, let node = running[run]?.node else { return }
        trace.note(node.name, "is told to leave \(id)")
        running[run]?.isTold = true
    }

    enum Outcome { case done, failed, rejected, abandoned }

    /// A handler ends.
    func end(_ run: Int, _ outcome: Outcome) {
        guard let ended = running.removeValue(forKey: run), ended.node.isAlive else { return }
        trace.note(ended.node.name, "ends \(ended.id): \(outcome)")
        // Whatever came of it, it has not killed this process.
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

    /// Everything of a process vanishes.
    func died(_ node: Node) {
        for run in running.values where run.node === node { records[run.id]?.crashes += 1 }
        running = running.filter { $0.value.node !== node }
    }

    /// Whether a handler of a process is at work on a message.
    func isRunning(_ id: StreamID, at node: Node? = nil) -> Bool {
        running.values.contains { $0.id == id && (node == nil || $0.node === node) }
    }

    func runningCount(at node: Node) -> Int {
        running.values.count { $0.node === node }
    }

    // MARK: The server

    /// A message of `owner` is not pending any more, because a node has settled it.
    func settled(_ id: StreamID, of owner: String, by node: Node, isBuried: Bool) {
        guard let record = records[id], !record.isDestroyed else { return }
        records[id]?.isSettled = true
        records[id]?.isBuried = isBuried
        if isBuried { buried[id] = node }
        if record.done == 0, !record.rejected, !isBuried {
            violated(.acknowledgedIsProcessed, "\(node.name) acknowledges \(id), which nobody has handled")
        }
        if owner != node.name, ownersAreKnown {
            violated(.ownersSettle, "\(node.name) acknowledges \(id), which \(owner) owns")
        }
    }

    /// Whether the server still knows what it has told: its clock has not jumped, and it has lost no data.
    var ownersAreKnown = true

    // MARK: What is told

    /// Which messages were made dead letters, and by whom.
    private(set) var buried: [StreamID: Node] = [:]
    /// Of which of them an event has told.
    private var reportedDeadLetters: Set<StreamID> = []
    /// How often the group was lost without anybody having told of it yet.
    private var untoldLosses = 0
    var hasUntoldLosses: Bool { untoldLosses > 0 }

    /// A consumer tells what has happened.
    func told(_ event: ConsumerEvent, by node: Node) {
        guard node.isAlive else { return }
        switch event {
        case .deadLettered(let id, _, _): reportedDeadLetters.insert(id)
        case .groupCreated, .leaseLost: untoldLosses = 0
        default: break
        }
    }

    /// The group is gone, with all that was pending in it.
    func groupLost() { untoldLosses += 1 }

    /// The server has forgotten that it lost the group.
    func groupIsBack() { untoldLosses = 0 }

    /// Sees at the end whether everything that came to an abnormal end was told.
    ///
    /// - Parameter besides: Whether a node cannot have told, since it was kept from it.
    func checkTold(besides isExcused: (Node) -> Bool) {
        if untoldLosses > 0 { violated(.endsAreTold, "nobody tells that the group was lost") }
        for (id, node) in buried.sorted(by: { $0.key < $1.key }) where !reportedDeadLetters.contains(id) && !isExcused(node) {
            violated(.endsAreTold, "\(node.name) makes a dead letter of \(id), and does not tell")
        }
    }

    /// Whoever looks for himself whether everything was done says so.
    func markAllDone() {
        for id in records.keys { records[id]?.done = 1 }
    }

    /// How many confirmed messages nobody has handled to the end, of those that were not taken away.
    var missing: [StreamID] {
        records.filter { $0.value.isMissing }.keys.sorted()
    }
}

/// What always holds; see Documentation/Decisions/0016-simulation.md.
enum Invariant: String, CaseIterable {
    case acknowledgedIsProcessed = "acknowledged means processed"
    case notTwiceInOne = "a consumer is not given what it is handling"
    case ownersSettle = "only the owner settles"
    case oneOwner = "one owner at a time"
    case nothingLost = "every confirmed message is processed, there, or reported"
    case repliesInOrder = "replies go to who asked"
    case noWayBack = "a cursor never goes back without an event"
    case outputsOnce = "outputs exactly once"
    case attemptsCountFailures = "attempts count failures only"
    case quarantinedAlone = "what may have killed a process is handled alone"
    case nothingWaits = "no message waits for a handler while another consumer has a free one"
    case everythingIsOwned = "what is pending is held, waits for its time, or is claimed"
    case innocentsStay = "no message is given up for the crashes of others"
    case namesGo = "the names of dead consumers go"
    case endsAreTold = "what comes to an abnormal end is told"
    case endsClean = "in the end nothing is pending"
    case shutdownInTime = "a shutdown ends in time, and hands back the rest"
    case comesToRest = "nobody works in circles"
    case noLeak = "nothing is left behind"
}
