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

    @Test(arguments: [true, false]) func `While a read is about to take it along, what is due is left to it`(
        isFinished: Bool
    ) async throws {
        let session = session
        session.deliver(messageBatch(["1-0"]), source: .new, isHeld: true)
        let message = try #require(try await session.mailbox.next())
        session.settle(message)
        session.attend(true)
        let told = Journal<Bool>()
        let waiting = Task { told.record(await session.waitForDue(inAnyCase: false)) }
        for _ in 0..<100 { await Task.yield() }
        #expect(told.all.isEmpty)
        if isFinished { session.finish() } else { session.attend(false) }
        await waiting.value
        #expect(told.all == [true])
        #expect(session.takeDue(atMost: 10) == ids("1-0"))
        await eventLoop.shutdownGracefully()
    }
}
