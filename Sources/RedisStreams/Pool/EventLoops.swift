internal import NIOCore

/// The event loops of a client: connections and engines get those of the group in turn, and timers have one of them.
///
/// If each timer, and each reading of the time, asked the group for its next loop, chance would decide whether an engine
/// and its connection share a loop. For a producer that is some percent of its rate (Decision 26).
struct EventLoops: Sendable {
    private let group: any EventLoopGroup
    /// The event loop for timers and for reading the time.
    let timers: any EventLoop

    init(_ group: any EventLoopGroup) {
        self.group = group
        timers = group.next()
    }

    /// The event loop for the next connection, or the next engine.
    func next() -> any EventLoop { group.next() }
}
