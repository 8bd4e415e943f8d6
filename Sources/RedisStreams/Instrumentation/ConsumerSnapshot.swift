/// What a group consumer is at work on, and what waits, at one moment.
public struct ConsumerSnapshot: Sendable, Hashable {
    /// Messages whose handlers are at work; in a loop, the message that it has.
    public var handling = 0
    /// For how long the oldest of those handlers has been at work; `nil` if there is none. In a loop, and without
    /// claiming, the time counts from the first snapshot or renewal that found the message.
    public var oldestHandling: Duration?
    /// Messages that were read and wait for a handler.
    public var waiting = 0
    /// For how long the oldest of them has waited; `nil` if there is none.
    public var oldestWaiting: Duration?

    /// Nothing.
    public init() {}

    init(handling: Int, oldestHandling: Duration?, waiting: Int, oldestWaiting: Duration?) {
        self.handling = handling
        self.oldestHandling = oldestHandling
        self.waiting = waiting
        self.oldestWaiting = oldestWaiting
    }

    static func += (left: inout Self, right: Self) {
        left.handling += right.handling
        left.oldestHandling = [left.oldestHandling, right.oldestHandling].compactMap(\.self).max()
        left.waiting += right.waiting
        left.oldestWaiting = [left.oldestWaiting, right.oldestWaiting].compactMap(\.self).max()
    }
}
