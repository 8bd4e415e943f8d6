internal import Dispatch
internal import NIOCore
internal import NIOEmbedded

/// The time of a ``FakeTransport`` and of every client made with it: it stands still until it is moved.
///
/// Deadlines, delays between attempts and blocking reads all go by it, so that tests need not sleep.
public final class ManualClock: Sendable {
    let eventLoop: NIOAsyncTestingEventLoop

    init() {
        eventLoop = NIOAsyncTestingEventLoop()
    }

    deinit {
        // What is still scheduled is cancelled; an event loop does not bear to be left with it.
        eventLoop.shutdownGracefully(queue: .global()) { _ in }
    }

    /// How much time has passed since the clock was made.
    public var elapsed: Duration {
        .nanoseconds(Int64(clamping: eventLoop.now.uptimeNanoseconds))
    }

    /// Moves the time forward, and does on the way everything that becomes due, in the order in which it does.
    public func advance(by duration: Duration) async {
        let (seconds, attoseconds) = duration.components
        await eventLoop.advanceTime(by: .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000))
    }
}
