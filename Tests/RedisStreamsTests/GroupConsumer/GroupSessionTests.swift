import NIOCore
import NIOEmbedded
import Synchronization
import Testing

@testable import RedisStreams

@Suite struct GroupSessionTests {
    private let eventLoop = NIOAsyncTestingEventLoop()
    private var session: GroupSession { makeSession() }

    private func makeSession(lease: TimeAmount? = nil) -> GroupSession {
        GroupSession(
            group: "billing",
            prefetch: 10,
            leasePolicy: .init(lease: lease, fencingTime: lease.map { .nanoseconds($0.nanoseconds / 4 * 3) }),
            eventLoop: eventLoop
        )
    }

    @Test func `A message that has waited so long that others may have claimed it is given up`() async throws {
        let session = makeSession(lease: .seconds(60))
        session.deliver(["1-0", "2-0"])
        let message = try #require(try await session.buffer.next())
        await eventLoop.advanceTime(by: .nanoseconds(59_999_999_999))
        #expect(!session.giveUpIfStale(message, at: eventLoop.now))
        #expect(session.unknown(among: ids("1-0")).isEmpty, "it is still held")
        await eventLoop.advanceTime(by: .nanoseconds(1))
        #expect(session.giveUpIfStale(message, at: eventLoop.now))
        session.settle(message)
        guard case .requeue(let requeues) = session.takeDue(atMost: 10)?.settlement else {
            Issue.record("it is not given back")
            return
        }
        #expect(requeues == [Requeue(returning: id("1-0"), .first)], "as if it had not been delivered")
        #expect(session.takeDue(atMost: 10) == nil, "what was given up is not acknowledged")
        await eventLoop.shutdownGracefully()
    }

    @Test func `A message that was lost while it waited is given up, and its neighbours are not`() async throws {
        let session = makeSession(lease: .seconds(60))
        session.deliver(["1-0", "2-0"])
        #expect(session.lose(ids("1-0", "7-0")) == ids("1-0"))
        let first = try #require(try await session.buffer.next())
        let second = try #require(try await session.buffer.next())
        #expect(session.giveUpIfStale(first, at: eventLoop.now))
        #expect(!session.giveUpIfStale(second, at: eventLoop.now))
        await eventLoop.shutdownGracefully()
    }

    @Test func `A message is lost from the moment at which its lease has run out, whoever has noticed`() async throws {
        let session = makeSession(lease: .seconds(60))
        session.deliver(["1-0", "2-0"])
        let message = try #require(try await session.buffer.next())
        let settled = try #require(try await session.buffer.next())
        let context = HandlerContext(message)
        await eventLoop.advanceTime(by: .nanoseconds(59_999_999_999))
        #expect(message.isHeld)
        #expect(!context.leaseLost)
        session.settle(settled)
        await eventLoop.advanceTime(by: .nanoseconds(1))
        #expect(!message.isHeld)
        #expect(context.leaseLost)
        #expect(!settled.isHeld)
        #expect(!HandlerContext(settled).leaseLost, "what was settled in time is no loss")
        message.batch.grant(eventLoop.now)
        #expect(message.isHeld, "it was renewed")
        #expect(!context.leaseLost)
        await eventLoop.shutdownGracefully()
    }

    @Test func `Where nobody claims, a message is never given up`() async throws {
        let session = session
        session.deliver(["1-0"])
        let message = try #require(try await session.buffer.next())
        await eventLoop.advanceTime(by: .hours(1000))
        #expect(message.isHeld)
        #expect(!session.giveUpIfStale(message, at: eventLoop.now))
        await eventLoop.shutdownGracefully()
    }

    @Test func `While it is seen to, nobody is told of what is due`() async throws {
        let session = session
        let told = Journal<Bool>()
        session.onDue { told.record(true) }
        session.deliver(["1-0", "2-0", "3-0"])
        session.attend(true)
        session.settle(try #require(try await session.buffer.next()))
        #expect(told.all.isEmpty)
        session.attend(false)
        #expect(told.all == [true], "nobody sees to it any more")
        session.settle(try #require(try await session.buffer.next()))
        #expect(told.all == [true], "it has been told")
        #expect(session.takeDue(atMost: 10)?.settlement.ids == ids("1-0", "2-0"))
        session.settle(try #require(try await session.buffer.next()))
        #expect(told.all == [true, true])
        await eventLoop.shutdownGracefully()
    }

    @Test func `Who waits for an alarm is woken by it, by a failed acknowledgement, and by the end`() async throws {
        let session = session
        session.add(.acknowledge(ids("1-0"), isProven: false))
        session.raiseAlarm()
        #expect(await session.waitForAlarm(inAnyCase: false))
        let sent = try #require(session.takeDue(atMost: 10))
        session.restore(sent.number)
        #expect(await session.waitForAlarm(inAnyCase: false))
        session.finish()
        #expect(await session.waitForAlarm(inAnyCase: false), "something is due still")
        session.confirm(try #require(session.takeDue(atMost: 10)).number)
        #expect(await !session.waitForAlarm(inAnyCase: true))
        await eventLoop.shutdownGracefully()
    }

    @Test func `At the end what was not handed out is given back, and what was handed out is left alone`()
        async throws
    {
        let session = session
        session.deliver(["1-0", "2-0", "3-0"], counts: [1, 2001, 3002].map { DeliveryCount($0) })
        _ = try await session.buffer.next()
        session.finish()
        guard case .requeue(let requeues) = try #require(session.takeDue(atMost: 10)).settlement else {
            Issue.record("nothing is given back")
            return
        }
        #expect(requeues.map(\.id) == ids("2-0", "3-0"))
        #expect(requeues.map(\.count.rawValue) == [2000, 3001], "as if it had not been delivered")
        #expect(requeues.allSatisfy { $0.due == nil })
        #expect(session.keptAtEnd == Set(ids("1-0")))
        session.deliver(["4-0"])
        #expect(session.takeDue(atMost: 10)?.settlement.ids == ids("4-0"), "what comes later is given back too")
        await eventLoop.shutdownGracefully()
    }

    @Test func `What comes while it ends is given back once, whichever of the two is faster`() async throws {
        for lead in 0..<4000 {
            let session = session
            let start = StartingLine()
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    start.wait(andThen: lead % 40)
                    session.deliver(["1-0"])
                }
                group.addTask {
                    start.wait(andThen: lead / 40 % 40)
                    session.finish()
                    session.finish()
                }
            }
            var given: [StreamID] = []
            while let sent = session.takeDue(atMost: 10) { given += sent.settlement.ids }
            #expect(given == ids("1-0"))
            #expect(session.keptAtEnd.isEmpty)
        }
        await eventLoop.shutdownGracefully()
    }
}

/// Where two tasks start as nearly at the same time as can be had, if there are two processors.
private final class StartingLine: Sendable {
    private let arrived = Atomic(0)

    func wait(andThen steps: Int) {
        arrived.add(1, ordering: .relaxed)
        var patience = 10_000
        while arrived.load(ordering: .relaxed) < 2, patience > 0 { patience -= 1 }
        for _ in 0..<steps { _ = arrived.load(ordering: .relaxed) }
    }
}

extension GroupSession {
    fileprivate func deliver(_ ids: [String], counts: [DeliveryCount]? = nil) {
        let batch = DeliveredBatch(
            messageBatch(ids),
            counts: counts,
            source: .new,
            session: self,
            leaseStart: eventLoop.now
        )
        deliver(batch, bytes: 0, isHeld: true)
    }
}
