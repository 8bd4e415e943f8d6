import NIOCore
import NIOEmbedded
import Testing

@testable import RedisStreams

/// Bytes that arrive in the middle of a write, as NIO delivers them when the write fails.
@Suite(.limitedTime) struct ReentrancyTests {
    @Test func `Bytes and an end that arrive while a reply is handled, in the middle of a write, are taken in order`()
        async throws
    {
        let eventLoop = NIOAsyncTestingEventLoop()
        let connection = RedisConnection(configuration: .init(), eventLoop: eventLoop, instruments: Instruments())
        let stream = BreakingStream(connection)
        let outcomes = Journal<String>()
        let note = { @Sendable (name: String, outcome: PendingReplies.Outcome) in
            outcomes.record("\(name) \((try? outcome.get().string ?? outcome.get().integer?.description) ?? "failed")")
        }
        try await eventLoop.executeInContext {
            try connection.assumeIsolated { try $0.attach(stream) }
            connection.enqueue(
                XLEN("a"),
                then: { outcome in
                    note("first", outcome)
                    connection.enqueue(XLEN("c"), then: { note("third", $0) })
                    stream.breaksNext()
                    connection.assumeIsolated { $0.flush() }
                }
            )
            connection.enqueue(XLEN("b"), then: { note("second", $0) })
        }
        await eventLoop.run()
        try await eventLoop.executeInContext { connection.received(ByteBuffer(string: ":1\r\n")) }
        await eventLoop.run()
        #expect(await outcomes.wait(for: 3) == ["first 1", "second 2", "third failed"])
        await eventLoop.shutdownGracefully()
    }
}

/// A stream whose next write fails: it delivers what is still to be read, and then the end.
///
// SAFETY: all in one thread.
private final class BreakingStream: ByteStream, @unchecked Sendable {
    private var breaks = false
    private unowned let connection: RedisConnection

    init(_ connection: RedisConnection) { self.connection = connection }

    func breaksNext() { breaks = true }

    func write(_ bytes: ByteBuffer) {
        guard breaks else { return }
        breaks = false
        connection.received(ByteBuffer(string: ":2\r\n"))
        connection.eventLoop.execute { self.connection.ended(with: nil) }
    }

    func close() {}
}
