import NIOCore
import NIOEmbedded
import Testing

@testable import RedisStreams

/// What the ledger makes of leases, and of messages that are not simply acknowledged.
@Suite struct LeasePolicyTests {
    private let session = GroupSession(group: "billing", prefetch: 10, eventLoop: NIOAsyncTestingEventLoop())
    private let leasePolicy = SettlementLedger.LeasePolicy(lease: .seconds(40), fencingTime: .seconds(30))

    @Test(arguments: [(29_999, true), (30_000, false), (50_000, false)])
    func `A message is this consumer's beyond doubt for as long as the leasePolicy say`(now: Int, isProven: Bool) {
        var ledger = SettlementLedger(leasePolicy)
        let batch = delivered(["1-0", "2-0"])
        ledger.hold(batch)
        _ = ledger.settle(batch, 1)
        _ = ledger.settle(batch, 0)
        let taken = ledger.take(at: now)
        #expect(taken?.isProven == isProven)
        #expect(taken?.settlement.ids == ids("2-0", "1-0"))
    }

    @Test func `A renewal counts from when it was sent, for what is settled after it`() {
        var ledger = SettlementLedger(leasePolicy)
        let batch = delivered(["1-0", "2-0"])
        ledger.hold(batch)
        _ = ledger.settle(batch, 0)
        batch.grant(.at(20_000))
        _ = ledger.settle(batch, 1)
        let first = ledger.take(1, at: 30_000)
        let second = ledger.take(1, at: 49_999)
        #expect([first?.isProven, second?.isProven] == [false, true])
    }

    @Test func `One that is in doubt takes the others of its step along`() {
        var ledger = SettlementLedger(leasePolicy)
        let old = delivered(["1-0"])
        let fresh = delivered(["2-0"], at: 20_000)
        ledger.hold(old)
        ledger.hold(fresh)
        _ = ledger.settle(fresh, 0)
        _ = ledger.settle(old, 0)
        let taken = ledger.take(at: 35_000)
        #expect(taken?.isProven == false)
        #expect(taken?.settlement.ids == ids("2-0", "1-0"))
    }

    @Test func `Where nobody claims everything is proven, and where everything is fenced nothing is`() {
        for (leasePolicy, isProven) in [(SettlementLedger.LeasePolicy(), true), (.init(lease: nil, fencingTime: .zero), false)] {
            var ledger = SettlementLedger(leasePolicy)
            let batch = delivered(["1-0"])
            ledger.hold(batch)
            _ = ledger.settle(batch, 0)
            let taken = ledger.take(at: isProven ? 1_000_000 : 0)
            #expect(taken?.isProven == isProven)
        }
    }

    @Test func `The leasePolicy follow from the configuration`() {
        var configuration = GroupConsumer.Configuration()
        #expect(configuration.leasePolicy.lease == .seconds(30))
        #expect(configuration.leasePolicy.fencingTime == .milliseconds(22_500))
        configuration.fencing = .always
        #expect(configuration.leasePolicy.fencingTime == .zero)
        configuration.safeguards.remove(.fencing)
        #expect(configuration.leasePolicy.fencingTime == nil)
        configuration = GroupConsumer.Configuration()
        configuration.claimIdleTime = nil
        #expect(configuration.leasePolicy.lease == nil && configuration.leasePolicy.fencingTime == nil)
        configuration.claimIdleTime = .seconds(10)
        configuration.acknowledgement = .onDelivery
        #expect(configuration.leasePolicy.lease == nil, "nothing is pending while it is handled")
    }

    @Test func `What is set requeue is sent behind acknowledgements, and before outputs`() throws {
        var ledger = SettlementLedger(leasePolicy)
        let batch = delivered(["1-0", "2-0", "3-0"])
        ledger.hold(batch)
        let output = Publication.Output(stream: "out", maxLength: nil, fields: [.text("a"), .text("1")])
        let emitted = ledger.publish(batch, 0, Publication(id: id("1-0"), outputs: [output]))
        let isRequeued = ledger.requeue(batch, 1, requeue("2-0", 1000))
        let settled = ledger.settle(batch, 2)
        #expect([emitted, isRequeued, settled] == [true, true, true])
        expectUnknown(ledger, ["1-0", "2-0", "3-0"], [])
        var kinds: [String] = []
        while let sent = ledger.take() {
            switch sent.settlement {
            case .acknowledge(let ids, _): kinds.append("acknowledge \(ids)")
            case .requeue(let requeues): kinds.append("set requeue \(requeues.map(\.id)) \(requeues.map(\.count.rawValue))")
            case .publish(let publication): kinds.append("emit \(publication.id)")
            }
        }
        #expect(kinds == ["acknowledge [3-0]", "set requeue [2-0] [1000]", "emit 1-0"])
        expectUnknown(ledger, ["1-0", "2-0", "3-0"], [])
    }

    @Test func `What was set requeue or emitted in vain is due again, before the rest`() throws {
        var ledger = SettlementLedger(leasePolicy)
        ledger.add(.requeue([requeue("1-0", 1000)]))
        let set = try ledger.mustTake()
        ledger.add(.requeue([requeue("2-0", 2000)]))
        ledger.restore(set.number)
        let again = try ledger.mustTake()
        #expect(again.settlement.ids == ids("1-0", "2-0"))
        ledger.confirm(again.number)
        ledger.add(.publish(Publication(id: id("3-0"), outputs: [])))
        let emitted = try ledger.mustTake()
        ledger.add(.publish(Publication(id: id("4-0"), outputs: [])))
        ledger.restore(emitted.number)
        let order = [ledger.take(), ledger.take(), ledger.take()].map { $0?.settlement.ids }
        #expect(order == [ids("3-0"), ids("4-0"), nil], "one at a time")
    }

    @Test func `Two hundred at most are set requeue in one step`() {
        var ledger = SettlementLedger(leasePolicy)
        ledger.add(.requeue((1...450).map { requeue("\($0)-0", 1000) }))
        var sizes: [Int] = []
        while let sent = ledger.take(1000) { sizes.append(sent.settlement.ids.count) }
        #expect(sizes == [200, 200, 50])
    }

    @Test func `What waits without its message is known, until it does not wait any more`() {
        var ledger = SettlementLedger(leasePolicy)
        ledger.wait(for: ids("1-0", "2-0", "3-0", "4-0"))
        expectUnknown(ledger, ["1-0", "2-0", "3-0", "4-0", "5-0"], ids("5-0"))
        ledger.stopWaiting(for: ids("1-0"))
        let lost = ledger.lose(ids("2-0"))
        #expect(lost.isEmpty, "it was not held")
        ledger.forget(ids("3-0"))
        expectUnknown(ledger, ["1-0", "2-0", "3-0", "4-0"], ids("1-0", "2-0", "3-0"))
        let waiting = ledger.waiting
        #expect(waiting == Set(ids("4-0")))
    }

    @Test func `What is lost has no outcome here, and is told with its place`() {
        var ledger = SettlementLedger(leasePolicy)
        let first = delivered(["1-0", "2-0"])
        let second = delivered(["3-0", "4-0"])
        ledger.hold(first)
        ledger.hold(second)
        _ = ledger.settle(first, 0)
        let lost = ledger.lose(ids("1-0", "2-0", "4-0", "9-0"))
        #expect(lost.map(\.id) == ids("2-0", "4-0"), "what was settled is no loss")
        #expect(lost.map(\.position) == [1, 1])
        #expect(first.mayHaveLosses && second.mayHaveLosses)
        let settled = [ledger.settle(first, 1), ledger.settle(second, 1), ledger.settle(second, 0)]
        #expect(settled == [false, false, true])
        let held = ledger.held.count
        #expect(held == 0)
        expectUnknown(ledger, ["2-0", "4-0"], ids("2-0", "4-0"))
    }

    @Test func `What is forgotten is held no more, and no loss`() {
        var ledger = SettlementLedger(leasePolicy)
        let batch = delivered(["1-0", "2-0"])
        ledger.hold(batch)
        ledger.forget(ids("1-0"))
        let settled = ledger.settle(batch, 0)
        #expect(!settled)
        #expect(!batch.mayHaveLosses)
        let open = ledger.openIDs(of: batch)
        #expect(open == ids("2-0"))
    }

    @Test func `The batches whose leases are old enough are found, with what is open of them`() {
        var ledger = SettlementLedger(leasePolicy)
        let batches = [delivered(["1-0", "2-0"], at: 0), delivered(["3-0"], at: 100), delivered(["4-0"], at: 50)]
        for batch in batches { ledger.hold(batch) }
        _ = ledger.settle(batches[0], 0)
        _ = ledger.settle(batches[2], 0)
        let old = ledger.batches(leaseStartedBefore: .at(99))
        #expect(identities(old) == identities([batches[0]]), "nothing is open of the third")
        let open = ledger.openIDs(of: batches[0])
        #expect(open == ids("2-0"))
    }

    private func requeue(_ text: String, _ count: Int) -> Requeue {
        Requeue(id: id(text), count: DeliveryCount(count), due: nil)
    }

    private func delivered(_ ids: [String], at milliseconds: Int = 0) -> DeliveredBatch {
        DeliveredBatch(messageBatch(ids), source: .new, session: session, leaseStart: .at(milliseconds))
    }
}
