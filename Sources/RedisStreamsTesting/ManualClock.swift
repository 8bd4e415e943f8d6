internal import Dispatch
internal import NIOCore
internal import NIOEmbedded

/// The clock of a ``FakeTransport`` or an ``InMemoryRedis``, and of its clients. It stands still until the test moves
/// it.
///
/// Deadlines, delays between attempts and blocking reads follow this clock, so tests need not sleep.
public final class ManualClock: Sendable {
    let eventLoop: NIOAsyncTestingEventLoop

    init() {
        eventLoop = NIOAsyncTestingEventLoop()
    }

    deinit {
        // Cancels what is still scheduled: an event loop must not be deinitialized with scheduled tasks.
        eventLoop.shutdownGracefully(queue: .global()) { _ in }
    }

    /// The time that has passed since the clock was created.
    public var elapsed: Duration {
        .nanoseconds(Int64(clamping: eventLoop.now.uptimeNanoseconds))
    }

    /// Moves the time forward, and runs everything that becomes due on the way, in the order in which it becomes due.
    public func advance(by duration: Duration) async {
        let (seconds, attoseconds) = duration.components
        await eventLoop.advanceTime(by: .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000))
    }
}
