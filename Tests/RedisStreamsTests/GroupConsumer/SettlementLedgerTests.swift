import NIOEmbedded
import Testing

@testable import RedisStreams

@Suite struct SettlementLedgerTests {
    private let session = GroupSession(group: "billing", prefetch: 10, eventLoop: NIOAsyncTestingEventLoop())

    @Test func `A message is held, then due, then sent, then gone`() {
        var ledger = SettlementLedger()
        let batch = delivered(["1-0", "2-0"])
        ledger.hold(batch)
        expectUnknown(ledger, ["1-0", "2-0", "3-0"], ids("3-0"))
        let wasOpen = ledger.settle(batch, 0)
        #expect(wasOpen)
        expectDue(ledger, true)
        expectUnknown(ledger, ["1-0"], [])
        let taken = ledger.takeDue(atMost: 10)
        #expect(taken == ids("1-0"))
        expectDue(ledger, false)
        expectUnknown(ledger, ["1-0"], [])
        ledger.confirm(taken)
        expectUnknown(ledger, ["1-0", "2-0"], ids("1-0"))
    }

    @Test func `A message is settled once`() {
        var ledger = SettlementLedger()
        let batch = delivered(["1-0"])
        ledger.hold(batch)
        let first = ledger.settle(batch, 0)
        let second = ledger.settle(batch, 0)
        #expect([first, second] == [true, false])
        let taken = ledger.takeDue(atMost: 10)
        #expect(taken.count == 1)
        ledger.release(batch, 0)
        let third = ledger.settle(batch, 0)
        #expect(!third)
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
        let first = ledger.takeDue(atMost: 2)
        let second = ledger.takeDue(atMost: 2)
        let third = ledger.takeDue(atMost: 2)
        let fourth = ledger.takeDue(atMost: 2)
        #expect([first, second, third, fourth] == [ids("4-0", "1-0"), ids("5-0", "2-0"), ids("3-0"), []])
    }

    @Test func `What was sent in vain is due again, before the rest`() {
        var ledger = SettlementLedger()
        let batch = delivered(["1-0", "2-0", "3-0"])
        ledger.hold(batch)
        _ = ledger.settle(batch, 0)
        let sent = ledger.takeDue(atMost: 10)
        _ = ledger.settle(batch, 1)
        ledger.restore(sent)
        expectUnknown(ledger, ["1-0"], [])
        let taken = ledger.takeDue(atMost: 10)
        #expect(taken == ids("1-0", "2-0"))
        ledger.confirm(sent)
        ledger.confirm(taken)
        expectUnknown(ledger, ["1-0", "2-0"], ids("1-0", "2-0"))
    }

    @Test func `Two batches on their way are told apart`() {
        var ledger = SettlementLedger()
        ledger.acknowledge(ids("1-0", "2-0"))
        let first = ledger.takeDue(atMost: 1)
        let second = ledger.takeDue(atMost: 1)
        ledger.confirm(second)
        expectUnknown(ledger, ["1-0", "2-0"], ids("2-0"))
        ledger.restore(first)
        let again = ledger.takeDue(atMost: 10)
        #expect(again == ids("1-0"))
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
        let taken = ledger.takeDue(atMost: 10)
        #expect(taken == ids("1-0", "2-0"))
    }

    @Test func `What is acknowledged while the server may have looked already is no news`() {
        var ledger = SettlementLedger()
        let batch = delivered(["1-0", "2-0"])
        ledger.hold(batch)
        _ = ledger.settle(batch, 0)
        let first = ledger.takeDue(atMost: 10)
        ledger.beginLookingBack()
        ledger.beginLookingBack()
        ledger.confirm(first)
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

    @Test(arguments: seeds) func `On a random walk each id is in one place, and none is lost`(seed: UInt64) {
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
                let taken = ledger.takeDue(atMost: limit)
                #expect(taken == Array(model.due.prefix(limit)))
                model.due.removeFirst(taken.count)
                if !taken.isEmpty { model.sent.append(taken) }
            default:
                guard let index = model.sent.indices.randomElement(using: &random) else { continue }
                let ids = model.sent.remove(at: index)
                if random.chance(0.5) {
                    ledger.confirm(ids)
                } else {
                    ledger.restore(ids)
                    model.due = ids + model.due
                }
            }
            let hasDue = ledger.hasDue
            #expect(hasDue == !model.due.isEmpty)
            guard step.isMultiple(of: 10) else { continue }
            let unknown = Set(ledger.unknown(model.all))
            #expect(unknown == model.unknown)
        }
    }

    private func delivered(_ ids: [String]) -> DeliveredBatch {
        DeliveredBatch(messageBatch(ids), source: .new, session: session)
    }
}

private struct LedgerModel {
    var last = 0
    var held: [(DeliveredBatch, Int)] = []
    var due: [StreamID] = []
    var sent: [[StreamID]] = []

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
        let known = Set(held.map { $0.storage.entries[$1].id } + due + sent.joined())
        return Set(all.map(id)).subtracting(known)
    }
}

private func expectUnknown(
    _ ledger: borrowing SettlementLedger,
    _ delivered: [String],
    _ expected: [StreamID],
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let unknown = ledger.unknown(delivered)
    #expect(unknown == expected, sourceLocation: sourceLocation)
}

private func expectDue(
    _ ledger: borrowing SettlementLedger,
    _ expected: Bool,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let hasDue = ledger.hasDue
    #expect(hasDue == expected, sourceLocation: sourceLocation)
}

extension SettlementLedger {
    /// Which of the ids would be handed out if the server delivered them now.
    fileprivate func unknown(_ ids: [String]) -> [StreamID] {
        leavingOutKnown(messageBatch(ids)).map(\.id)
    }
}
