import NIOCore
import NIOEmbedded
import Testing

@testable import RedisStreams

/// How the table treats leases, and messages that are not simply acknowledged.
@Suite struct LeasePolicyTests {
    private let pending = PendingMessages(group: "billing", eventLoop: NIOAsyncTestingEventLoop())
    private let leasePolicy = LeasePolicy(lease: .seconds(40), fencingTime: .seconds(30))

    @Test(arguments: [(29_999, true), (30_000, false), (50_000, false)])
    func `A consumer certainly owns a message for as long as the lease policy says`(now: Int, isCertain: Bool) {
        var table = PendingTable(leasePolicy)
        let batch = delivered(["1-0", "2-0"])
        table.hold(batch)
        _ = table.acknowledge(batch, 1)
        _ = table.acknowledge(batch, 0)
        let sent = table.next(at: now)
        #expect(sent?.isCertain == isCertain)
        #expect(sent?.settlement.ids == ids("2-0", "1-0"))
    }

    @Test func `After a renewal, the fencing deadline counts from the time when the renewal was sent`() {
        var table = PendingTable(leasePolicy)
        let batch = delivered(["1-0", "2-0"])
        table.hold(batch)
        _ = table.acknowledge(batch, 0)
        batch.renewLease(from: .at(20_000))
        _ = table.acknowledge(batch, 1)
        let first = table.next(1, at: 30_000)
        let second = table.next(1, at: 49_999)
        #expect([first?.isCertain, second?.isCertain] == [false, true])
    }

    @Test func `After a change of master no lease proves anything until it is renewed`() {
        var table = PendingTable(leasePolicy)
        let batch = delivered(["1-0", "2-0"])
        table.hold(batch)
        _ = table.acknowledge(batch, 0)
        table.revokeFencing(at: .at(1_000))
        let first = table.next(1, at: 2_000)
        batch.renewLease(from: .at(2_000))
        _ = table.acknowledge(batch, 1)
        let second = table.next(1, at: 3_000)
        #expect([first?.isCertain, second?.isCertain] == [false, true])
    }

    @Test func `If one message needs a script, so do the others of its step`() {
        var table = PendingTable(leasePolicy)
        let old = delivered(["1-0"])
        let fresh = delivered(["2-0"], at: 20_000)
        table.hold(old)
        table.hold(fresh)
        _ = table.acknowledge(fresh, 0)
        _ = table.acknowledge(old, 0)
        let sent = table.next(at: 35_000)
        #expect(sent?.isCertain == false)
        #expect(sent?.settlement.ids == ids("2-0", "1-0"))
    }

    @Test func `Without leases a plain XACK always suffices, and with fencing always it never does`() {
        for (leasePolicy, isCertain) in [(LeasePolicy(), true), (.init(lease: nil, fencingTime: .zero), false)] {
            var table = PendingTable(leasePolicy)
            let batch = delivered(["1-0"])
            table.hold(batch)
            _ = table.acknowledge(batch, 0)
            let sent = table.next(at: isCertain ? 1_000_000 : 0)
            #expect(sent?.isCertain == isCertain)
        }
    }

    @Test func `The lease policy follows from the configuration`() {
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
        #expect(configuration.leasePolicy.lease == nil, "messages are not pending while they are handled")
    }

    @Test func `Requeues are sent after acknowledgements, and before publications`() throws {
        var table = PendingTable(leasePolicy)
        let batch = delivered(["1-0", "2-0", "3-0"])
        table.hold(batch)
        let output = Publication.Output(stream: "out", maxLength: nil, fields: [.text("a"), .text("1")])
        let published = table.publish(batch, 0, Publication(id: id("1-0"), outputs: [output]))
        let isRequeued = table.requeue(batch, 1, requeue("2-0", 1000))
        let settled = table.acknowledge(batch, 2)
        #expect([published, isRequeued, settled] == [true, true, true])
        expectUnknown(table, ["1-0", "2-0", "3-0"], [])
        var kinds: [String] = []
        while let sent = table.next() {
            switch sent.settlement {
            case .acknowledge(let ids, _): kinds.append("acknowledge \(ids)")
            case .requeue(let requeues): kinds.append("requeue \(requeues.map(\.id)) \(requeues.map(\.count.rawValue))")
            case .publish(let publication): kinds.append("publish \(publication.id)")
            }
        }
        #expect(kinds == ["acknowledge [3-0]", "requeue [2-0] [1000]", "publish 1-0"])
        expectUnknown(table, ["1-0", "2-0", "3-0"], [])
    }

    @Test func `After a lost reply, a requeue or publication is sent again before the others`() throws {
        var table = PendingTable(leasePolicy)
        table.settle(.requeue([requeue("1-0", 1000)]))
        let first = try table.requireNext()
        table.settle(.requeue([requeue("2-0", 2000)]))
        table.restore(first)
        let again = try table.requireNext()
        #expect(again.settlement.ids == ids("1-0", "2-0"))
        table.confirm(again)
        table.settle(.publish(Publication(id: id("3-0"), outputs: [])))
        let published = try table.requireNext()
        table.settle(.publish(Publication(id: id("4-0"), outputs: [])))
        table.restore(published)
        let order = [table.next(), table.next(), table.next()].map { $0?.settlement.ids }
        #expect(order == [ids("3-0"), ids("4-0"), nil], "one publication at a time")
    }

    @Test func `One step requeues two hundred messages at most`() {
        var table = PendingTable(leasePolicy)
        table.settle(.requeue((1...450).map { requeue("\($0)-0", 1000) }))
        var sizes: [Int] = []
        while let sent = table.next(1000) { sizes.append(sent.settlement.ids.count) }
        #expect(sizes == [200, 200, 50])
    }

    @Test func `A lost message has no outcome here, and its position is returned`() {
        var table = PendingTable(leasePolicy)
        let first = delivered(["1-0", "2-0"])
        let second = delivered(["3-0", "4-0"])
        table.hold(first)
        table.hold(second)
        _ = table.acknowledge(first, 0)
        let lost = table.lose(ids("1-0", "2-0", "4-0", "9-0"))
        #expect(lost.map(\.id) == ids("2-0", "4-0"), "a message with an outcome is not lost")
        #expect(lost.map(\.position) == [1, 1])
        #expect(first.mayHaveLosses && second.mayHaveLosses)
        let settled = [table.acknowledge(first, 1), table.acknowledge(second, 1), table.acknowledge(second, 0)]
        #expect(settled == [false, false, true])
        let isHolding = table.isHolding
        #expect(!isHolding)
        expectUnknown(table, ["2-0", "4-0"], ids("2-0", "4-0"))
    }

    @Test func `A deleted entry is not held any more, and does not count as lost`() {
        var table = PendingTable(leasePolicy)
        let batch = delivered(["1-0", "2-0"])
        table.hold(batch)
        table.delete(ids("1-0"))
        let settled = table.acknowledge(batch, 0)
        #expect(!settled)
        #expect(!batch.mayHaveLosses)
        #expect(batch.heldIDs == ids("2-0"))
    }

    @Test func `The batches with old leases are found, with their held messages`() {
        var table = PendingTable(leasePolicy)
        let batches = [delivered(["1-0", "2-0"], at: 0), delivered(["3-0"], at: 100), delivered(["4-0"], at: 50)]
        for batch in batches { table.hold(batch) }
        _ = table.acknowledge(batches[0], 0)
        _ = table.acknowledge(batches[2], 0)
        let old = table.leases(startedBefore: .at(99))
        #expect(identities(old.map(\.0)) == identities([batches[0]]), "no message of the third batch is held")
        #expect(old.map(\.1) == [ids("2-0")])
    }

    private func requeue(_ text: String, _ count: Int) -> Requeue {
        Requeue(id: id(text), count: DeliveryCount(count), due: nil)
    }

    private func delivered(_ ids: [String], at milliseconds: Int = 0) -> DeliveredBatch {
        DeliveredBatch(messageBatch(ids), source: .new, pending: pending, leaseStart: .at(milliseconds))
    }
}
