import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import RedisStreams

@Suite struct PendingMessagesTests {
    private let eventLoop = NIOAsyncTestingEventLoop()

    private func makeDispatcher(lease: TimeAmount? = nil) -> Dispatcher {
        let fencingTime = lease.map { TimeAmount.nanoseconds($0.nanoseconds / 4 * 3) }
        let leasePolicy = LeasePolicy(lease: lease, fencingTime: fencingTime)
        return Dispatcher(
            PendingMessages(group: "billing", leasePolicy: leasePolicy, eventLoop: eventLoop),
            prefetch: 10
        )
    }

    @Test func `A message that has waited for a whole lease is requeued, not handled`() async throws {
        let dispatcher = makeDispatcher(lease: .seconds(60))
        let pending = dispatcher.pending
        dispatcher.deliver(["1-0", "2-0"])
        let message = try #require(try await dispatcher.buffer.next())
        await eventLoop.advanceTime(by: .nanoseconds(59_999_999_999))
        #expect(!pending.requeueIfStale(message, at: eventLoop.now))
        #expect(dispatcher.unknown(among: ids("1-0")).isEmpty, "the message is still held")
        await eventLoop.advanceTime(by: .nanoseconds(1))
        #expect(pending.requeueIfStale(message, at: eventLoop.now))
        pending.acknowledge(message)
        guard case .requeue(let requeues) = pending.nextSettlement(atMost: 10)?.settlement else {
            Issue.record("the message is not requeued")
            return
        }
        #expect(requeues == [Requeue(returning: id("1-0"), .first)], "without the last delivery")
        #expect(pending.nextSettlement(atMost: 10) == nil, "a requeued message is not acknowledged")
        await eventLoop.shutdownGracefully()
    }

    @Test func `A message that was lost while it waited is not handled, and its neighbours are`() async throws {
        let dispatcher = makeDispatcher(lease: .seconds(60))
        let pending = dispatcher.pending
        dispatcher.deliver(["1-0", "2-0"])
        #expect(pending.change { $0.lose(ids("1-0", "7-0")) }.map(\.id) == ids("1-0"))
        let first = try #require(try await dispatcher.buffer.next())
        let second = try #require(try await dispatcher.buffer.next())
        #expect(pending.requeueIfStale(first, at: eventLoop.now))
        #expect(!pending.requeueIfStale(second, at: eventLoop.now))
        await eventLoop.shutdownGracefully()
    }

    @Test func `A message is lost as soon as its lease has expired, even before the consumer notices`() async throws {
        let dispatcher = makeDispatcher(lease: .seconds(60))
        let pending = dispatcher.pending
        dispatcher.deliver(["1-0", "2-0"])
        let message = try #require(try await dispatcher.buffer.next())
        let settled = try #require(try await dispatcher.buffer.next())
        let context = HandlerContext(message)
        await eventLoop.advanceTime(by: .nanoseconds(59_999_999_999))
        #expect(message.isHeld)
        #expect(!context.leaseLost)
        pending.acknowledge(settled)
        await eventLoop.advanceTime(by: .nanoseconds(1))
        #expect(!message.isHeld)
        #expect(context.leaseLost)
        #expect(!settled.isHeld)
        #expect(!HandlerContext(settled).leaseLost, "a message that was settled in time is not lost")
        message.batch.renewLease(from: eventLoop.now)
        #expect(message.isHeld, "the lease was renewed")
        #expect(!context.leaseLost)
        await eventLoop.shutdownGracefully()
    }

    @Test func `Without leases, a message never counts as lost`() async throws {
        let dispatcher = makeDispatcher()
        let pending = dispatcher.pending
        dispatcher.deliver(["1-0"])
        let message = try #require(try await dispatcher.buffer.next())
        await eventLoop.advanceTime(by: .hours(1000))
        #expect(message.isHeld)
        #expect(!pending.requeueIfStale(message, at: eventLoop.now))
        await eventLoop.shutdownGracefully()
    }

    @Test func `While outcomes are covered by the next read, they do not wake the acknowledger`() async throws {
        let dispatcher = makeDispatcher()
        let pending = dispatcher.pending
        let wakes = Journal<Bool>()
        pending.listen(.init(outcomesWait: { wakes.record(true) }))
        dispatcher.deliver(["1-0", "2-0", "3-0"])
        pending.setCoveredByRead(true)
        pending.acknowledge(try #require(try await dispatcher.buffer.next()))
        #expect(wakes.all.isEmpty)
        pending.setCoveredByRead(false)
        #expect(wakes.all == [true], "no read covers the outcome any more")
        pending.acknowledge(try #require(try await dispatcher.buffer.next()))
        #expect(wakes.all == [true], "the acknowledger was woken already")
        #expect(pending.nextSettlement(atMost: 10)?.settlement.ids == ids("1-0", "2-0"))
        pending.acknowledge(try #require(try await dispatcher.buffer.next()))
        #expect(wakes.all == [true, true])
        await eventLoop.shutdownGracefully()
    }

    @Test func `The slow path is woken explicitly, by a failed acknowledgement, and by the end`() async throws {
        let dispatcher = makeDispatcher()
        let pending = dispatcher.pending
        pending.settle(.acknowledge(ids("1-0"), isCertain: false))
        pending.wakeSlowPath()
        #expect(await pending.waitForSlowPath(inAnyCase: false))
        let sent = try #require(pending.nextSettlement(atMost: 10))
        pending.restore(sent)
        #expect(await pending.waitForSlowPath(inAnyCase: false))
        dispatcher.finish()
        #expect(await pending.waitForSlowPath(inAnyCase: false), "an outcome is still queued")
        pending.confirm(try #require(pending.nextSettlement(atMost: 10)))
        #expect(await !pending.waitForSlowPath(inAnyCase: true))
        await eventLoop.shutdownGracefully()
    }

    @Test func `At the end buffered messages are returned, and a message that a handler has is abandoned`()
        async throws
    {
        let dispatcher = makeDispatcher()
        let pending = dispatcher.pending
        dispatcher.deliver(["1-0", "2-0", "3-0"], counts: [1, 2001, 3002].map { DeliveryCount($0) })
        _ = try await dispatcher.buffer.next()
        dispatcher.finish()
        guard case .requeue(let requeues) = try #require(pending.nextSettlement(atMost: 10)).settlement else {
            Issue.record("no message is returned")
            return
        }
        #expect(requeues.map(\.id) == ids("2-0", "3-0"))
        #expect(requeues.map(\.count.rawValue) == [2000, 3001], "as if it had not been delivered")
        #expect(requeues.allSatisfy { $0.due == nil })
        #expect(pending.read { $0.state(of: id("1-0")) } == .abandoned)
        dispatcher.deliver(["4-0"])
        #expect(pending.nextSettlement(atMost: 10)?.settlement.ids == ids("4-0"), "a late batch is returned too")
        await eventLoop.shutdownGracefully()
    }

    @Test func `A batch that arrives during the end is returned once, whichever of the two is faster`() async throws {
        for lead in 0..<4000 {
            let dispatcher = makeDispatcher()
            let pending = dispatcher.pending
            let start = StartingLine()
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    start.wait(andThen: lead % 40)
                    dispatcher.deliver(["1-0"])
                }
                group.addTask {
                    start.wait(andThen: lead / 40 % 40)
                    dispatcher.finish()
                    dispatcher.finish()
                }
            }
            var returned: [StreamID] = []
            while let sent = pending.nextSettlement(atMost: 10) { returned += sent.settlement.ids }
            #expect(returned == ids("1-0"))
            #expect(!pending.read { $0.hasAbandoned })
        }
        await eventLoop.shutdownGracefully()
    }
}

/// Lets two tasks start at nearly the same time, if there are two processors.
private final class StartingLine: Sendable {
    private let arrived = Atomic(0)

    func wait(andThen steps: Int) {
        arrived.add(1, ordering: .relaxed)
        var attempts = 10_000
        while arrived.load(ordering: .relaxed) < 2, attempts > 0 { attempts -= 1 }
        for _ in 0..<steps { _ = arrived.load(ordering: .relaxed) }
    }
}

extension Dispatcher {
    fileprivate func deliver(_ ids: [String], counts: [DeliveryCount]? = nil) {
        let batch = DeliveredBatch(
            messageBatch(ids),
            counts: counts,
            source: .new,
            pending: pending,
            leaseStart: pending.eventLoop.now
        )
        deliver(batch, bytes: 0, isPending: true)
    }
}
