internal import NIOCore

/// An actor whose executor is an event loop. Actors on the same event loop call each other without suspending, by
/// `assumeIsolated`.
protocol EventLoopActor: Actor {
    nonisolated var eventLoop: any EventLoop { get }
}

extension EventLoopActor {
    /// Calls `body` in a later turn of the event loop; from any thread.
    nonisolated func later(_ body: @escaping @Sendable (isolated Self) -> Void) {
        eventLoop.execute { self.assumeIsolated(body) }
    }
}
