import NIOCore
import NIOEmbedded
import Testing

@testable import RedisStreams

@Suite struct SettlementLedgerTests {
    private let session = GroupSession(group: "billing", prefetch: 10, eventLoop: NIOAsyncTestingEventLoop())

    @Test func `A message is held, then due, then sent, then gone`() throws {
        var ledger = SettlementLedger()
        let batch = delivered(["1-0", "2-0"])
        ledger.hold(batch)
        expectUnknown(ledger, ["1-0", "2-0", "3-0"], ids("3-0"))
        let wasOpen = ledger.settle(batch, 0)
        #expect(wasOpen)
        expectDue(ledger, true)
        expectUnknown(ledger, ["1-0"], [])
        let taken = try ledger.mustTake(10)
        #expect(taken.settlement.ids == ids("1-0"))
        expectDue(ledger, false)
        expectUnknown(ledger, ["1-0"], [])
        ledger.confirm(taken.number)
        expectUnknown(ledger, ["1-0", "2-0"], ids("1-0"))
    }

    @Test func `A message has one outcome`() {
        var ledger = SettlementLedger()
        let batch = delivered(["1-0"])
        ledger.hold(batch)
        let first = ledger.settle(batch, 0)
        let requeue = Requeue(id: id("1-0"), count: .first, due: nil)
        let others = [
            ledger.settle(batch, 0), ledger.requeue(batch, 0, requeue),
            ledger.publish(batch, 0, Publication(id: id("1-0"), outputs: [])),
        ]
        #expect(first)
        #expect(others == [false, false, false])
        let taken = [ledger.take(10), ledger.take(10)].map { $0?.settlement.ids }
        #expect(taken == [ids("1-0"), nil])
        ledger.release(batch, 0)
        let late = ledger.settle(batch, 0)
        #expect(!late)
    }

    @Test func `A quarantined message ends with the server's word, and at once where there is nothing to tell`() throws
    {
        var ledger = SettlementLedger()
        let batch = delivered(["1-0", "2-0", "3-0", "4-0"], isQuarantined: true)
        ledger.hold(batch)
        _ = ledger.settle(batch, 0)
        _ = ledger.requeue(batch, 1, Requeue(id: id("2-0"), count: .first, due: nil))
        var ended = ledger.takeEndedQuarantined()
        #expect(ended.isEmpty)
        let sent = try ledger.mustTake(10)
        ended = ledger.takeEndedQuarantined()
        #expect(ended.isEmpty)
        ledger.restore(sent.number)
        ended = ledger.takeEndedQuarantined()
        #expect(ended.isEmpty, "it is not known whether the server has it")
        ledger.confirm(try ledger.mustTake(10).number)
        ended = ledger.takeEndedQuarantined()
        #expect(ended == ids("1-0"))
        ledger.release(batch, 2)
        _ = ledger.lose(ids("4-0"))
        ended = ledger.takeEndedQuarantined()
        #expect(ended == ids("3-0", "4-0"))
        ledger.confirm(try ledger.mustTake(10).number)
        ended = ledger.takeEndedQuarantined()
        #expect(ended == ids("2-0"))
        ended = ledger.takeEndedQuarantined()
        #expect(ended.isEmpty)
    }

    @Test func `A message that was released may be delivered again, and is not acknowledged`() {
        var ledger = SettlementLedger()
        let batch = delivered(["1-0", "2-0"])
        ledger.hold(batch)
        ledger.release(batch, 0)
        expectUnknown(ledger, ["1-0", "2-0"], ids("1-0"))
        let settled = ledger.settle(batch, 0)
        #expect(!settled)
        expectDue(ledger, false)
        let again = delivered(["1-0"])
        ledger.hold(again)
        expectUnknown(ledger, ["1-0"], [])
        let settledAgain = ledger.settle(again, 0)
        #expect(settledAgain)
    }

    @Test func `What is due is sent in the order of settling, so much at a time`() {
        var ledger = SettlementLedger()
        let batch = delivered(["1-0", "2-0", "3-0", "4-0", "5-0"])
        ledger.hold(batch)
        for position in [3, 0, 4, 1, 2] { _ = ledger.settle(batch, position) }
        var taken: [[StreamID]] = []
        while let sent = ledger.take(2) { taken.append(sent.settlement.ids) }
        #expect(taken == [ids("4-0", "1-0"), ids("5-0", "2-0"), ids("3-0")])
    }

    @Test func `What was sent in vain is due again, before the rest, and needs fencingTime`() throws {
        var ledger = SettlementLedger(.init(lease: .seconds(30), fencingTime: .seconds(20)))
        let batch = delivered(["1-0", "2-0", "3-0"])
        ledger.hold(batch)
        _ = ledger.settle(batch, 1)
        let sent = try ledger.mustTake(10)
        #expect(sent.isProven == true)
        _ = ledger.settle(batch, 0)
        ledger.restore(sent.number)
        expectUnknown(ledger, ["2-0"], [])
        let taken = try ledger.mustTake(10)
        #expect(taken.settlement.ids == ids("2-0", "1-0"))
        #expect(taken.isProven == false, "somebody may have claimed it since")
        ledger.confirm(sent.number)
        expectUnknown(ledger, ["1-0", "2-0"], [])
        ledger.confirm(taken.number)
        expectUnknown(ledger, ["1-0", "2-0"], ids("1-0", "2-0"))
    }

    @Test func `Settlements on their way are told apart`() throws {
        var ledger = SettlementLedger()
        ledger.add(.acknowledge(ids("1-0", "2-0"), isProven: false))
        let first = try ledger.mustTake(1)
        let second = try ledger.mustTake(1)
        ledger.confirm(second.number)
        expectUnknown(ledger, ["1-0", "2-0"], ids("2-0"))
        ledger.restore(first.number)
        let again = ledger.take(10)?.settlement.ids
        #expect(again == ids("1-0"))
        let isSending = ledger.isSending
        #expect(isSending)
    }

    @Test func `When nobody handles any more, nothing is held, and what is due stays due`() {
        var ledger = SettlementLedger()
        let batch = delivered(["1-0", "2-0"])
        ledger.hold(batch)
        _ = ledger.settle(batch, 0)
        ledger.releaseAll()
        expectUnknown(ledger, ["1-0", "2-0"], ids("2-0"))
        let late = ledger.settle(batch, 1)
        #expect(late, "a handler that is late is still heard")
        let taken = ledger.take(10)?.settlement.ids
        #expect(taken == ids("1-0", "2-0"))
    }

    @Test func `What is settled while the server may have looked already is no news`() throws {
        var ledger = SettlementLedger()
        let batch = delivered(["1-0", "2-0"])
        ledger.hold(batch)
        _ = ledger.settle(batch, 0)
        let first = try ledger.mustTake(10)
        ledger.beginLookingBack()
        ledger.beginLookingBack()
        ledger.confirm(first.number)
        expectUnknown(ledger, ["1-0"], [])
        ledger.endLookingBack()
        expectUnknown(ledger, ["1-0"], [])
        ledger.endLookingBack()
        expectUnknown(ledger, ["1-0"], ids("1-0"))
    }

    @Test func `So it is with what was acknowledged by hand`() {
        var ledger = SettlementLedger()
        let batch = delivered(["1-0", "2-0"])
        ledger.hold(batch)
        ledger.beginLookingBack()
        ledger.acknowledged(batch, 0)
        expectUnknown(ledger, ["1-0"], [])
        ledger.endLookingBack()
        expectUnknown(ledger, ["1-0", "2-0"], ids("1-0"))
        expectDue(ledger, false)
    }

    @Test func `An empty batch passes through`() {
        let ledger = SettlementLedger()
        expectUnknown(ledger, [], [])
    }

    @Test(arguments: seeds) func `On a random walk each id is in one place, and none is lost`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var ledger = SettlementLedger()
        var model = LedgerModel()
        for step in 0..<200 {
            switch Int.random(in: 0..<6, using: &random) {
            case 0:
                let ids = model.newIDs(&random)
                let batch = delivered(ids.map(\.description))
                ledger.hold(batch)
                for position in ids.indices { model.held.append((batch, position)) }
            case 1, 2:
                guard let (batch, position) = model.takeHeld(&random) else { continue }
                let isDue = ledger.settle(batch, position)
                #expect(isDue)
                model.due.append(batch.storage.entries[position].id)
            case 3:
                guard let (batch, position) = model.takeHeld(&random) else { continue }
                ledger.release(batch, position)
            case 4:
                let limit = Int.random(in: 1...5, using: &random)
                let taken = ledger.take(limit)
                #expect(taken?.settlement.ids ?? [] == Array(model.due.prefix(limit)))
                guard let taken else { continue }
                model.due.removeFirst(taken.settlement.ids.count)
                model.sent.append(taken)
            default:
                guard let index = model.sent.indices.randomElement(using: &random) else { continue }
                let sent = model.sent.remove(at: index)
                if random.chance(0.5) {
                    ledger.confirm(sent.number)
                } else {
                    ledger.restore(sent.number)
                    model.due = sent.settlement.ids + model.due
                }
            }
            let hasDue = ledger.hasDue
            #expect(hasDue == !model.due.isEmpty)
            guard step.isMultiple(of: 10) else { continue }
            let unknown = Set(ledger.unknown(among: model.all.map(id)))
            #expect(unknown == model.unknown)
        }
    }

    private func delivered(_ ids: [String], isQuarantined: Bool = false) -> DeliveredBatch {
        DeliveredBatch(
            messageBatch(ids),
            source: .new,
            session: session,
            leaseStart: .at(0),
            isQuarantined: isQuarantined
        )
    }
}

private struct LedgerModel {
    var last = 0
    var held: [(DeliveredBatch, Int)] = []
    var due: [StreamID] = []
    var sent: [SentSettlement] = []

    mutating func newIDs(_ random: inout SeededGenerator) -> [StreamID] {
        let count = Int.random(in: 1...5, using: &random)
        defer { last += count }
        return (1...count).map { StreamID(milliseconds: UInt64(last + $0)) }
    }

    mutating func takeHeld(_ random: inout SeededGenerator) -> (DeliveredBatch, Int)? {
        guard let index = held.indices.randomElement(using: &random) else { return nil }
        return held.remove(at: index)
    }

    var all: [String] { last == 0 ? [] : (1...last).map { "\($0)-0" } }

    var unknown: Set<StreamID> {
        let known = Set(held.map { $0.storage.entries[$1].id } + due + sent.flatMap(\.settlement.ids))
        return Set(all.map(id)).subtracting(known)
    }
}

func expectUnknown(
    _ ledger: borrowing SettlementLedger,
    _ delivered: [String],
    _ expected: [StreamID],
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let unknown = ledger.unknown(among: delivered.map(id))
    #expect(unknown == expected, sourceLocation: sourceLocation)
}

func expectDue(
    _ ledger: borrowing SettlementLedger,
    _ expected: Bool,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let hasDue = ledger.hasDue
    #expect(hasDue == expected, sourceLocation: sourceLocation)
}

extension SettlementLedger {
    /// What is to be sent, so many milliseconds after the beginning.
    mutating func take(_ limit: Int = 10, at milliseconds: Int = 0) -> SentSettlement? {
        takeDue(atMost: limit, now: .at(milliseconds))
    }

    /// What is to be sent, where there has to be something.
    mutating func mustTake(_ limit: Int = 10, at milliseconds: Int = 0) throws -> SentSettlement {
        let sent = take(limit, at: milliseconds)
        return try #require(sent)
    }
}

extension SentSettlement {
    /// Whether it is an acknowledgement of what is this consumer's beyond doubt; `nil` if it is none.
    var isProven: Bool? {
        if case .acknowledge(_, let isProven) = settlement { isProven } else { nil }
    }
}
