import NIOCore
import NIOEmbedded
import Testing

@testable import RedisStreams

@Suite struct GroupSessionTests {
    private let eventLoop = NIOAsyncTestingEventLoop()
    private var session: GroupSession { GroupSession(group: "billing", prefetch: 10, eventLoop: eventLoop) }

    @Test func `A message that has waited so long that others may have claimed it is given up`() async throws {
        let session = session
        let freshUntil = eventLoop.now + .seconds(60)
        session.deliver(messageBatch(["1-0", "2-0"]), source: .new, isHeld: true, freshUntil: freshUntil)
        let message = try #require(try await session.mailbox.next())
        await eventLoop.advanceTime(by: .nanoseconds(59_999_999_999))
        #expect(!session.giveUpIfStale(message))
        #expect(session.leavingOutKnown(messageBatch(["1-0"])).isEmpty, "it is still held")
        await eventLoop.advanceTime(by: .nanoseconds(1))
        #expect(session.giveUpIfStale(message))
        #expect(session.leavingOutKnown(messageBatch(["1-0", "2-0"])).map(\.id) == ids("1-0"), "it may come again")
        session.settle(message)
        #expect(session.takeDue(atMost: 10).isEmpty, "what was given up is not acknowledged")
        await eventLoop.shutdownGracefully()
    }

    @Test func `Where nobody claims, a message is never given up`() async throws {
        let session = session
        session.deliver(messageBatch(["1-0"]), source: .new, isHeld: true)
        let message = try #require(try await session.mailbox.next())
        await eventLoop.advanceTime(by: .hours(1000))
        #expect(!session.giveUpIfStale(message))
        await eventLoop.shutdownGracefully()
    }

    @Test func `While it is seen to, nobody is told of what is due`() async throws {
        let session = session
        let told = Journal<Bool>()
        session.onDue { told.record(true) }
        session.deliver(messageBatch(["1-0", "2-0", "3-0"]), source: .new, isHeld: true)
        session.attend(true)
        session.settle(try #require(try await session.mailbox.next()))
        #expect(told.all.isEmpty)
        session.attend(false)
        #expect(told.all == [true], "nobody sees to it any more")
        session.settle(try #require(try await session.mailbox.next()))
        #expect(told.all == [true], "it has been told")
        #expect(session.takeDue(atMost: 10) == ids("1-0", "2-0"))
        session.settle(try #require(try await session.mailbox.next()))
        #expect(told.all == [true, true])
        await eventLoop.shutdownGracefully()
    }

    @Test func `Who waits for an alarm is woken by it, by a failed acknowledgement, and by the end`() async throws {
        let session = session
        session.acknowledge(ids("1-0"))
        session.raiseAlarm()
        #expect(await session.waitForAlarm(inAnyCase: false))
        let sent = session.takeDue(atMost: 10)
        session.restore(sent)
        #expect(await session.waitForAlarm(inAnyCase: false))
        session.finish()
        #expect(await session.waitForAlarm(inAnyCase: false), "something is due still")
        session.confirm(session.takeDue(atMost: 10))
        #expect(await !session.waitForAlarm(inAnyCase: true))
        await eventLoop.shutdownGracefully()
    }
}
