import NIOCore
import NIOEmbedded
import Testing

@testable import RedisStreams

@Suite struct PendingTableTests {
    private let pending = PendingMessages(group: "billing", eventLoop: NIOAsyncTestingEventLoop())

    // MARK: Outcomes

    @Test func `A message is held, then acknowledging, then unknown`() throws {
        var table = PendingTable()
        let batch = delivered(["1-0", "2-0"])
        table.hold(batch)
        expectStates(table, ["1-0": .held, "2-0": .held, "3-0": nil])
        let wasHeld = table.acknowledge(batch, 0)
        #expect(wasHeld)
        expectStates(table, ["1-0": .acknowledging])
        let sent = try table.requireNext(10)
        #expect(sent.settlement.ids == ids("1-0"))
        expectQueued(table, false)
        expectStates(table, ["1-0": .acknowledging])
        table.confirm(sent)
        expectStates(table, ["1-0": nil, "2-0": .held])
        expectUnknown(table, ["1-0", "2-0"], ids("1-0"))
    }

    @Test func `A message has one outcome`() {
        var table = PendingTable()
        let batch = delivered(["1-0"])
        table.hold(batch)
        let first = table.acknowledge(batch, 0)
        let others = [
            table.acknowledge(batch, 0), table.requeue(batch, 0, requeue("1-0")),
            table.publish(batch, 0, Publication(id: id("1-0"), outputs: [])),
        ]
        #expect(first)
        #expect(others == [false, false, false])
        let sent = [table.next(10), table.next(10)].map { $0?.settlement.ids }
        #expect(sent == [ids("1-0"), nil])
        table.disown(batch, 0)
        let late = table.acknowledge(batch, 0)
        #expect(!late)
    }

    @Test func `A message that was released may be delivered again, and is not acknowledged`() {
        var table = PendingTable()
        let batch = delivered(["1-0", "2-0"])
        table.hold(batch)
        table.disown(batch, 0)
        expectUnknown(table, ["1-0", "2-0"], ids("1-0"))
        let isAcknowledged = table.acknowledge(batch, 0)
        #expect(!isAcknowledged)
        expectQueued(table, false)
        let again = delivered(["1-0"])
        table.hold(again)
        expectUnknown(table, ["1-0"], [])
        let isAcknowledgedAgain = table.acknowledge(again, 0)
        #expect(isAcknowledgedAgain)
    }

    @Test func `Acknowledgements are sent in the order of the outcomes, up to a limit`() {
        var table = PendingTable()
        let batch = delivered(["1-0", "2-0", "3-0", "4-0", "5-0"])
        table.hold(batch)
        for position in [3, 0, 4, 1, 2] { _ = table.acknowledge(batch, position) }
        var sent: [[StreamID]] = []
        while let next = table.next(2) { sent.append(next.settlement.ids) }
        #expect(sent == [ids("4-0", "1-0"), ids("5-0", "2-0"), ids("3-0")])
    }

    @Test func `After a lost reply a settlement is sent again, before the others, and needs a script`() throws {
        var table = PendingTable(.init(lease: .seconds(30), fencingTime: .seconds(20)))
        let batch = delivered(["1-0", "2-0", "3-0"])
        table.hold(batch)
        _ = table.acknowledge(batch, 1)
        let sent = try table.requireNext(10)
        #expect(sent.isCertain == true)
        _ = table.acknowledge(batch, 0)
        table.restore(sent)
        expectStates(table, ["2-0": .acknowledging])
        let again = try table.requireNext(10)
        #expect(again.settlement.ids == ids("2-0", "1-0"))
        #expect(again.isCertain == false, "another consumer may have claimed it meanwhile")
        table.confirm(sent)
        expectUnknown(table, ["1-0", "2-0"], [])
        table.confirm(again)
        expectUnknown(table, ["1-0", "2-0"], ids("1-0", "2-0"))
    }

    @Test func `Each settlement in flight has its own reply`() throws {
        var table = PendingTable()
        table.settle(.acknowledge(ids("1-0", "2-0"), isCertain: false))
        let first = try table.requireNext(1)
        let second = try table.requireNext(1)
        table.confirm(second)
        expectUnknown(table, ["1-0", "2-0"], ids("2-0"))
        table.restore(first)
        let again = table.next(10)?.settlement.ids
        #expect(again == ids("1-0"))
        let isSending = table.isSending
        #expect(isSending)
    }

    @Test func `A message that is acknowledged while a reply is in flight is not new in that reply`() throws {
        var table = PendingTable()
        let batch = delivered(["1-0", "2-0"])
        table.hold(batch)
        _ = table.acknowledge(batch, 0)
        let first = try table.requireNext(10)
        table.beginInspecting()
        table.beginInspecting()
        table.confirm(first)
        expectStates(table, ["1-0": .acknowledged])
        expectUnknown(table, ["1-0"], [])
        table.endInspecting()
        expectUnknown(table, ["1-0"], [])
        table.endInspecting()
        expectUnknown(table, ["1-0"], ids("1-0"))
    }

    @Test func `Neither is a message that another command has acknowledged`() {
        var table = PendingTable()
        let batch = delivered(["1-0", "2-0"])
        table.hold(batch)
        table.beginInspecting()
        table.acknowledgedElsewhere(batch, 0)
        expectUnknown(table, ["1-0"], [])
        table.endInspecting()
        expectUnknown(table, ["1-0", "2-0"], ids("1-0"))
        expectQueued(table, false)
    }

    // MARK: Requeueing

    @Test func `A requeued message is scheduled, deferred if due after the horizon, or left to the group`() throws {
        var table = PendingTable()
        table.settle(
            .requeue([requeue("1-0", due: 100), requeue("2-0", due: 900), requeue("3-0"), requeue("4-0", due: 50)])
        )
        expectStates(table, ["1-0": .requeueing, "3-0": .requeueing])
        let sent = try table.requireNext()
        expectStates(table, ["1-0": .requeueing])
        table.confirm(sent, requeueing: .init(others: Set(ids("4-0")), horizon: .at(500)))
        expectStates(table, ["1-0": .scheduled, "2-0": .deferred, "3-0": nil, "4-0": nil])
        let next = table.nextDue
        #expect(next == .at(100))
        #expect(table.unheldIDs == ids("2-0"), "only the deferred message keeps its lease")
        let early = table.reclaimDue(now: .at(99), atMost: 10)
        let due = table.reclaimDue(now: .at(100), atMost: 10)
        #expect(early.isEmpty && due == ids("1-0"))
        expectStates(table, ["1-0": .reclaiming])
        let isNear = [table.requeueDeferred(dueBefore: .at(899)), table.requeueDeferred(dueBefore: .at(900))]
        #expect(isNear == [false, true])
        expectStates(table, ["2-0": .requeueing])
    }

    @Test func `While the consumer ends, a requeued message is not requeued again`() throws {
        var table = PendingTable()
        table.settle(.requeue([requeue("1-0", due: 100), requeue("2-0")]))
        table.confirm(try table.requireNext(), requeueing: .init(isEnding: true))
        expectStates(table, ["1-0": .returned, "2-0": .returned])
        let left = table.handover(of: ["1-0", "2-0"].map { entry($0, 1) }, hasRecovered: true)
        #expect(left.isEmpty)
    }

    // MARK: Reclaiming

    @Test func `A message that is being reclaimed is not new, and becomes held or unknown`() {
        var table = PendingTable()
        table.beginReclaiming(ids("1-0", "2-0", "3-0", "4-0"), source: .claimed)
        expectUnknown(table, ["1-0", "2-0", "3-0", "4-0", "5-0"], ids("5-0"))
        #expect(table.unheldIDs == ids("1-0", "2-0", "3-0", "4-0"), "the consumer renews their leases")
        let lost = table.lose(ids("2-0"))
        #expect(lost.isEmpty, "the message was not held")
        table.delete(ids("3-0"))
        #expect(table.reclaiming(among: ids("1-0", "2-0", "3-0", "4-0")) == ids("1-0", "4-0"))
        let batch = delivered(["1-0"], source: .claimed)
        table.hold(batch)
        table.endReclaiming(ids("1-0", "4-0"))
        expectStates(table, ["1-0": .held, "2-0": nil, "3-0": nil, "4-0": nil])
    }

    @Test func `After a lost reply the table remembers that a delivery may be counted, also for orphans`() {
        var table = PendingTable()
        table.beginReclaiming(ids("1-0", "2-0"), source: .retried)
        let unsure = table.replyWasLost(ids("1-0"), source: .retried)
        #expect(unsure == ids("1-0"))
        table.abandonReclaiming(ids("1-0", "2-0"))
        expectStates(table, ["1-0": .orphaned, "2-0": nil])
        expectUnknown(table, ["1-0", "2-0"], ids("1-0", "2-0"))
        #expect(table.unheldIDs.isEmpty, "the lease of an orphan is not renewed")
        table.beginReclaiming(ids("1-0", "2-0"), source: .pending)
        let states = ids("1-0", "2-0").map { table.reclaimState(of: $0) }
        #expect(states == [ReclaimState(source: .retried, isCounted: true, wasLostAlone: true), ReclaimState()])
    }

    @Test func `Orphans that are not in the pending list are forgotten`() {
        var table = PendingTable()
        table.beginReclaiming(ids("1-0", "2-0", "3-0"), source: .pending)
        _ = table.replyWasLost(ids("1-0", "2-0", "3-0"), source: .pending)
        table.abandonReclaiming(ids("1-0", "2-0", "3-0"))
        table.forgetOrphans(after: .zero, upTo: id("2-0"), except: Set(ids("2-0")))
        expectStates(table, ["1-0": nil, "2-0": .orphaned, "3-0": .orphaned])
    }

    @Test func `A postponed message keeps its lease`() {
        var table = PendingTable()
        table.beginReclaiming(ids("1-0"), source: .claimed)
        table.postpone(id("1-0"), until: .at(100))
        expectStates(table, ["1-0": .scheduled])
        #expect(table.unheldIDs == ids("1-0"))
        let due = table.reclaimDue(now: .at(100), atMost: 10)
        #expect(due == ids("1-0"))
    }

    @Test func `A scheduled message that was lost is not reclaimed when it is due`() {
        var table = PendingTable()
        table.beginReclaiming(ids("1-0"), source: .claimed)
        table.postpone(id("1-0"), until: .at(100))
        _ = table.lose(ids("1-0"))
        let due = table.reclaimDue(now: .at(100), atMost: 10)
        #expect(due.isEmpty)
    }

    // MARK: Quarantine

    @Test func `A quarantined message occupies its slot until the server has its outcome`() throws {
        var table = PendingTable(concurrency: 2)
        table.beginReclaiming(ids("1-0", "2-0"), source: .claimed)
        table.quarantine(ids("1-0", "2-0").map { .init(id: $0, count: .first) }, source: .claimed, now: .at(0))
        expectStates(table, ["1-0": .quarantined, "2-0": .quarantined])
        let first = table.admitQuarantined()
        #expect(first?.messages.map(\.id) == ids("1-0"))
        table.beginReclaiming(ids("1-0"), source: .claimed)
        let batch = delivered(["1-0"], source: .claimed, isQuarantined: true)
        table.hold(batch)
        _ = table.acknowledge(batch, 0)
        let sent = try table.requireNext()
        table.restore(sent)
        var isFree = table.takeFreedSlot()
        #expect(!isFree, "the server may not have the outcome")
        table.confirm(try table.requireNext())
        isFree = table.takeFreedSlot()
        #expect(isFree)
        let next = table.admitQuarantined()
        #expect(next?.messages.map(\.id) == ids("2-0"))
    }

    @Test(arguments: 0..<3) func `A slot is free at once if there is nothing to settle`(way: Int) {
        var table = PendingTable()
        table.beginReclaiming(ids("1-0"), source: .claimed)
        table.quarantine([.init(id: id("1-0"), count: .first)], source: .claimed, now: .at(0))
        _ = table.admitQuarantined()
        table.beginReclaiming(ids("1-0"), source: .claimed)
        let batch = delivered(["1-0"], source: .claimed, isQuarantined: true)
        table.hold(batch)
        switch way {
        case 0: table.disown(batch, 0)
        case 1: _ = table.lose(ids("1-0"))
        default: table.delete(ids("1-0"))
        }
        let isFree = table.takeFreedSlot()
        #expect(isFree)
    }

    @Test func `A message that waits too long in quarantine is requeued if its count is known`() throws {
        var table = PendingTable()
        table.beginReclaiming(ids("1-0", "2-0", "3-0"), source: .claimed)
        let unsure = table.replyWasLost(ids("2-0"), source: .claimed)
        #expect(unsure == ids("2-0"))
        let candidates = ids("1-0", "2-0", "3-0").map { Quarantine.Candidate(id: $0, count: .first) }
        table.quarantine(candidates, source: .claimed, now: .at(0))
        _ = table.admitQuarantined()
        let count = table.requeueQuarantined(waitingSince: .at(0))
        #expect(count == 2)
        expectStates(table, ["1-0": .quarantined, "2-0": nil, "3-0": .requeueing])
    }

    // MARK: Loss of the group, and the end

    @Test func `When the group is lost the table forgets everything, and an earlier reply has no effect`() throws {
        var table = PendingTable()
        let batch = delivered(["1-0", "2-0"])
        table.hold(batch)
        _ = table.acknowledge(batch, 0)
        let sent = try table.requireNext()
        table.beginReclaiming(ids("3-0"), source: .claimed)
        table.postpone(id("3-0"), until: .at(1))
        let lost = table.beginEpoch()
        #expect(lost.map(\.id) == ids("2-0"))
        expectUnknown(table, ["1-0", "2-0", "3-0"], ids("1-0", "2-0", "3-0"))
        #expect(table.epoch == 1)
        let again = delivered(["1-0"])
        table.hold(again)
        table.confirm(sent, requeueing: .init())
        table.restore(sent)
        expectStates(table, ["1-0": .held])
        expectQueued(table, false)
        let isLate = [table.acknowledge(batch, 0), table.acknowledge(batch, 1)]
        #expect(isLate == [false, false])
    }

    @Test func `At the end a message that a handler has is abandoned, and its late outcome counts`() {
        var table = PendingTable()
        let batch = delivered(["1-0", "2-0", "3-0"])
        table.hold(batch)
        _ = table.acknowledge(batch, 0)
        let isFirst = table.finish(rest: [GroupMessage(batch: batch, position: 2)], returnsRest: true)
        #expect(isFirst)
        expectStates(table, ["1-0": .acknowledging, "2-0": .abandoned, "3-0": .requeueing])
        let isLate = table.acknowledge(batch, 1)
        #expect(isLate)
        expectStates(table, ["2-0": .acknowledging])
        let hasAbandoned = table.hasAbandoned
        #expect(!hasAbandoned)
        let isSecond = table.finish(rest: [], returnsRest: true)
        #expect(!isSecond)
    }

    @Test func `At the handover the delivery count depends on the state`() {
        var table = PendingTable()
        let batch = delivered(["1-0"])
        table.hold(batch)
        table.beginReclaiming(ids("2-0", "3-0"), source: .claimed)
        table.postpone(id("3-0"), until: .at(1))
        _ = table.finish(rest: [], returnsRest: true)
        let entries = ["1-0", "2-0", "3-0", "4-0"].map { entry($0, 2) }
        let requeues = table.handover(of: entries, hasRecovered: true)
        #expect(
            requeues == [
                Requeue(id: id("2-0"), count: DeliveryCount(2), due: nil),
                Requeue(id: id("4-0"), count: DeliveryCount(1), due: nil),
            ]
        )
        let unknown = table.handover(of: [entry("4-0", 2)], hasRecovered: false)
        #expect(unknown.map(\.count.rawValue) == [2], "a process may have crashed on it before the start")
    }

    // MARK: Random histories

    @Test(arguments: seeds) func `In a random history each id is in exactly one state, as in a model`(
        seed: UInt64
    ) throws {
        var random = SeededGenerator(seed: seed)
        var history = TableHistory(pending)
        for _ in 0..<300 { try history.step(&random) }
        history.check()
    }

    private func delivered(
        _ ids: [String],
        source: GroupMessage.Source = .new,
        isQuarantined: Bool = false
    ) -> DeliveredBatch {
        DeliveredBatch(
            messageBatch(ids),
            source: source,
            pending: pending,
            leaseStart: .at(0),
            isQuarantined: isQuarantined
        )
    }

    private func requeue(_ text: String, due: Int? = nil) -> Requeue {
        Requeue(id: id(text), count: DeliveryCount(1000), due: due.map { .at($0) })
    }

    private func entry(_ text: String, _ count: Int) -> PendingEntry {
        PendingEntry(id: id(text), consumer: "c", idleTime: .zero, deliveryCount: count)
    }
}

/// A table and a model of it: a dictionary with the state of each id.
private struct TableHistory: ~Copyable {
    private var table: PendingTable
    private let pending: PendingMessages
    private var model: [StreamID: EntryState] = [:]
    private var held: [StreamID: (DeliveredBatch, Int)] = [:]
    private var sent: [SentSettlement] = []
    private var last = 0
    private var inspecting = 0
    private let changes = Journal<(StreamID, EntryState?)>()

    init(_ pending: PendingMessages) {
        self.pending = pending
        let changes = changes
        table = PendingTable(.init(lease: .seconds(30), fencingTime: .seconds(20)), concurrency: 4) {
            changes.record(($0, $1))
        }
    }

    private func ids(in state: EntryState) -> [StreamID] { model.filter { $0.value == state }.keys.sorted() }

    private func pick(_ state: EntryState, _ random: inout SeededGenerator) -> StreamID? {
        ids(in: state).randomElement(using: &random)
    }

    mutating func step(_ random: inout SeededGenerator) throws {
        switch Int.random(in: 0..<16, using: &random) {
        case 0: deliver(&random)
        case 1: decide(&random)
        case 2: decide(&random)
        case 3: send(&random)
        case 4: reply(&random)
        case 5: claim(&random)
        case 6, 7: endReclaim(&random)
        case 8:
            guard let id = pick(.scheduled, &random) ?? pick(.reclaiming, &random) else { return }
            _ = table.lose([id])
            model[id] = nil
        case 9:
            let due = table.reclaimDue(now: .at(1000), atMost: 3)
            for id in due {
                #expect(model[id] == .scheduled)
                model[id] = .reclaiming
            }
        case 10:
            if table.requeueDeferred(dueBefore: .at(5000)) { for id in ids(in: .deferred) { model[id] = .requeueing } }
        case 11: inspect()
        case 12: admit()
        case 13:
            guard let id = pick(.orphaned, &random) else { return }
            table.forgetOrphans(after: .zero, upTo: id, except: [])
            for orphan in ids(in: .orphaned) where orphan <= id { model[orphan] = nil }
        case 14 where Int.random(in: 0..<20, using: &random) == 0:
            _ = table.beginEpoch()
            model = [:]
            held = [:]
        default:
            guard let id = held.keys.sorted().randomElement(using: &random) else { return }
            let lost = table.lose([id])
            #expect(lost.map(\.id) == [id])
            forget(id)
        }
        check()
    }

    private mutating func forget(_ id: StreamID) {
        model[id] = nil
        held[id] = nil
    }

    private mutating func deliver(_ random: inout SeededGenerator) {
        let count = Int.random(in: 1...5, using: &random)
        let ids = (1...count).map { StreamID(milliseconds: UInt64(last + $0)) }
        last += count
        hold(ids, .new)
    }

    private mutating func hold(_ ids: [StreamID], _ source: GroupMessage.Source) {
        let batch = DeliveredBatch(
            messageBatch(ids.map(\.description)),
            source: source,
            pending: pending,
            leaseStart: .at(0)
        )
        table.hold(batch)
        for (position, id) in ids.enumerated() {
            held[id] = (batch, position)
            model[id] = .held
        }
    }

    private mutating func decide(_ random: inout SeededGenerator) {
        guard let id = held.keys.sorted().randomElement(using: &random), let (batch, position) = held[id] else {
            return
        }
        held[id] = nil
        let isDecided: Bool
        switch Int.random(in: 0..<4, using: &random) {
        case 0, 1:
            isDecided = table.acknowledge(batch, position)
            model[id] = .acknowledging
        case 2:
            let due = [nil, 500, 9000].randomElement(using: &random) ?? nil
            let requeue = Requeue(id: id, count: DeliveryCount(1000), due: due.map { .at($0) })
            isDecided = table.requeue(batch, position, requeue)
            model[id] = .requeueing
        default:
            isDecided = table.publish(batch, position, Publication(id: id, outputs: []))
            model[id] = .publishing
        }
        #expect(isDecided)
        let again = table.acknowledge(batch, position)
        #expect(!again)
    }

    private mutating func send(_ random: inout SeededGenerator) {
        guard let next = table.next(Int.random(in: 1...5, using: &random)) else { return }
        sent.append(next)
    }

    private mutating func reply(_ random: inout SeededGenerator) {
        guard let index = sent.indices.randomElement(using: &random) else { return }
        let ended = sent.remove(at: index)
        if random.chance(0.3) { return table.restore(ended) }
        let isCurrent = ended.epoch == table.epoch
        guard case .requeue(let requeues) = ended.settlement else {
            table.confirm(ended)
            if isCurrent { for id in ended.settlement.ids { model[id] = inspecting > 0 ? .acknowledged : nil } }
            return
        }
        table.confirm(ended, requeueing: .init(horizon: .at(4000)))
        guard isCurrent else { return }
        for requeue in requeues {
            switch requeue.due {
            case .some(.at(500)): model[requeue.id] = .scheduled
            case .some: model[requeue.id] = .deferred
            case nil: model[requeue.id] = inspecting > 0 ? .acknowledged : nil
            }
        }
    }

    /// A claim brings some of the ids so far: the unknown ones are reclaimed.
    private mutating func claim(_ random: inout SeededGenerator) {
        guard last > 0 else { return }
        let shown = (1...last).map { StreamID(milliseconds: UInt64($0)) }.filter { _ in random.chance(0.1) }
        let unknown = table.unknown(among: shown)
        #expect(unknown == shown.filter { model[$0] == nil || model[$0] == .orphaned })
        table.beginReclaiming(unknown, source: .claimed)
        for id in unknown { model[id] = .reclaiming }
    }

    private mutating func endReclaim(_ random: inout SeededGenerator) {
        guard let id = pick(.reclaiming, &random) else { return }
        switch Int.random(in: 0..<7, using: &random) {
        case 0: hold([id], .claimed)
        case 1:
            table.endReclaiming([id])
            model[id] = nil
        case 2:
            let unsure = table.replyWasLost([id], source: .claimed)
            #expect(unsure == [id])
            table.abandonReclaiming([id])
            model[id] = .orphaned
        case 3:
            table.settle(.acknowledge([id], isCertain: false))
            model[id] = .acknowledging
        case 4:
            table.quarantine([.init(id: id, count: .first)], source: .claimed, now: .at(0))
            model[id] = .quarantined
        case 5:
            table.postpone(id, until: .at(700))
            model[id] = .scheduled
        default:
            table.settle(.publish(Publication(id: id, outputs: [])))
            model[id] = .publishing
        }
    }

    private mutating func inspect() {
        if inspecting == 0 {
            inspecting = 1
            return table.beginInspecting()
        }
        inspecting = 0
        table.endInspecting()
        for id in ids(in: .acknowledged) { model[id] = nil }
    }

    private mutating func admit() {
        guard let messages = table.admitQuarantined()?.messages else { return }
        for (id, _) in messages { #expect(model[id] == .quarantined) }
        table.beginReclaiming(messages.map(\.id), source: .claimed)
        for (id, _) in messages { model[id] = .reclaiming }
    }

    /// The table has the state of the model for each id, and has each id once; the reported changes lead to the same
    /// states.
    func check() {
        guard last > 0 else { return }
        let all = (1...last).map { StreamID(milliseconds: UInt64($0)) }
        for id in all { #expect(table.state(of: id) == model[id], "\(id)") }
        let places = table.places
        #expect(places.count == Set(places).count, "an id is in two places: \(places.sorted())")
        #expect(Set(places) == Set(model.keys))
        var changed: [StreamID: EntryState] = [:]
        for (id, state) in changes.all { changed[id] = state }
        #expect(changed == model)
    }
}

func expectStates(
    _ table: borrowing PendingTable,
    _ expected: KeyValuePairs<String, EntryState?>,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    for (name, state) in expected {
        let found = table.state(of: id(name))
        #expect(found == state, "\(name)", sourceLocation: sourceLocation)
    }
}

func expectUnknown(
    _ table: borrowing PendingTable,
    _ delivered: [String],
    _ expected: [StreamID],
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let unknown = table.unknown(among: delivered.map(id))
    #expect(unknown == expected, sourceLocation: sourceLocation)
}

func expectQueued(
    _ table: borrowing PendingTable,
    _ expected: Bool,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let hasQueued = table.hasQueued
    #expect(hasQueued == expected, sourceLocation: sourceLocation)
}

extension PendingTable {
    /// The settlement to send next, at a time in milliseconds after the start.
    mutating func next(_ limit: Int = 10, at milliseconds: Int = 0) -> SentSettlement? {
        nextSettlement(atMost: limit, now: .at(milliseconds))
    }

    /// The same; fails the test if there is none.
    mutating func requireNext(_ limit: Int = 10, at milliseconds: Int = 0) throws -> SentSettlement {
        let sent = next(limit, at: milliseconds)
        return try #require(sent)
    }
}

extension SentSettlement {
    /// Whether it acknowledges messages that this consumer certainly owns; `nil` if it is no acknowledgement.
    var isCertain: Bool? {
        if case .acknowledge(_, let isCertain) = settlement { isCertain } else { nil }
    }
}
