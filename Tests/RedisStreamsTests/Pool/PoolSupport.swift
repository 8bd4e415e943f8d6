@testable import RedisStreams

/// What the pool returns to a caller that needs a connection.
struct Acquired {
    var use: Link?
    /// Slots to connect, or for a lease a single 0.
    var connect: [Int] = []
    var waits = false
    var failure: RedisError?
}

extension PoolStateMachine where Connection == Link {
    mutating func shared(_ waiter: Int) -> Acquired {
        switch acquireShared(waiter) {
        case .use(let link, let slots): Acquired(use: link, connect: slots)
        case .wait(let slots): Acquired(connect: slots, waits: true)
        case .fail(let error): Acquired(failure: error)
        }
    }

    mutating func lease(_ waiter: Int, where isSuitable: (Link) -> Bool = { _ in true }) -> Acquired {
        switch acquireLease(waiter, where: isSuitable) {
        case .use(let link): Acquired(use: link)
        case .connect: Acquired(connect: [0])
        case .wait: Acquired(waits: true)
        case .fail(let error): Acquired(failure: error)
        }
    }
}
