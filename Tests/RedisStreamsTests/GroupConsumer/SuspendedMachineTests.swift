import NIOCore
import NIOEmbedded
import NIOPosix
import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

/// The clock of event loops stops while a machine is suspended, and leases expire all the same. Here a lease is thirty
/// seconds.
@Suite(.limitedTime) struct SuspendedMachineTests {
    @Test func `A handler sees that its lease has expired, and its acknowledgement checks the owner`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let seen = Journal<String>()
            let gate = Gate()
            let running = Task {
                try await consumer.run { message, context in
                    seen.record("held \(message.isHeld), lost \(context.leaseLost)")
                    await gate.wait()
                    seen.record("held \(message.isHeld), lost \(context.leaseLost)")
                }
            }
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            _ = await seen.wait(for: 1)
            play.log.suspend(for: .seconds(30))
            gate.open()
            #expect(await seen.wait(for: 2) == ["held true, lost false", "held false, lost true"])
            await play.expectShared(acknowledgeIfOwned("1-0"), answer: ":0\r\n")
            await play.end(running)
        }
    }

    @Test func `A message that waited for a handler meanwhile is not handled, and is reported as lost`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let handled = Journal<String>()
            let gate = Gate()
            let running = Task {
                try await consumer.run { message in
                    handled.record(message.name)
                    await gate.wait()
                }
            }
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew())
            _ = await handled.wait(for: 1)
            play.log.suspend(for: .seconds(30))
            await play.clock.advance(by: .seconds(10))
            guard case .leaseLost(let lost) = await play.events.wait(for: 1)[0] else {
                Issue.record("\(play.events.all)")
                return
            }
            #expect(lost == ids("1-0", "2-0"))
            gate.open()
            await play.clock.calmDown()
            #expect(handled.all == ["1-0"])
            await play.end(running)
        }
    }

    @Test func `An XACK that was queued before the machine was suspended is not sent after that`() async throws {
        let log = WriteLog()
        let connection = try await log.connectAlone()
        let server = await log.base.nextConnection()
        let outcomes = Journal<RedisError.Code?>()
        let latest = log.base.clock.eventLoop.now + .seconds(10)
        try await log.base.clock.eventLoop.executeInContext {
            connection.enqueue(XACK("orders", group: "billing", ids: [StreamID(milliseconds: 1)]), notAfter: latest) {
                if case .failure(let error) = $0 { outcomes.record(error.code) } else { outcomes.record(nil) }
            }
            log.suspend(for: .seconds(11))
        }
        await log.base.clock.settle()
        #expect(await outcomes.wait(for: 1) == [.connectionClosed])
        await server.expectClose()
    }

    #if os(Linux)
    @Test func `The lease clock is the time since boot, which is never behind that of the event loop`() {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.any()
        let before = eventLoop.now
        #expect(SocketTransport().leaseClock.now(on: eventLoop) >= before)
    }
    #endif
}
