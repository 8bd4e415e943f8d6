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
        history.end(&random)
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
