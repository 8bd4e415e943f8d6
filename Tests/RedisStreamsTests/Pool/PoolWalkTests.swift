import Testing

@testable import RedisStreams

@Suite struct PoolWalkTests {
    @Test(arguments: seeds) func `On a random walk each slot has one connection, and each waiter one result`(
        seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        let slots = Int.random(in: 1...3, using: &random)
        var pool = Pool(sharedConnections: slots, maxLeases: 1, maxIdle: 1)
        var model = SlotModel(slots: slots)
        for step in 0..<600 {
            let slot = Int.random(in: 0..<slots, using: &random)
            switch (Int.random(in: 0..<3, using: &random), model.slots[slot]) {
            case (0, _): model.asked(step, pool.shared(step))
            case (1, .connecting):
                let link = Link()
                let resumed = pool.connected(link, slot: slot)
                model.connected(link, slot: slot, resumed)
            case (_, .connecting):
                let error = random.chance(0.3) ? wrongPassword : refused
                model.failed(error, slot: slot, pool.connectFailed(error, slot: slot))
            case (1, .ready(let link)):
                pool.lost(link, slot: slot)
                model.slots[slot] = .empty
            case (_, .backingOff):
                let connects = pool.backoffEnded(slot: slot)
                model.backoffEnded(slot: slot, connects)
            default:
                guard let waiter = model.waiting.randomElement(using: &random) else { continue }
                let removed = pool.removeWaiter(waiter)
                #expect(removed)
                model.waiting.removeAll { $0 == waiter }
            }
            #expect(model.waiting.isEmpty || model.isMoving, "a caller waits although no slot connects or backs off")
        }
        let end = pool.close()
        #expect(end.waiters == model.waiting)
        #expect(end.connections.count == model.readyCount)
    }
}

private struct SlotModel {
    enum Slot {
        case empty, connecting, backingOff
        case ready(Link)
    }

    var slots: [Slot]
    var waiting: [Int] = []

    init(slots: Int) {
        self.slots = Array(repeating: .empty, count: slots)
    }

    var readyCount: Int { slots.count { if case .ready = $0 { true } else { false } } }

    /// Whether the state of some slot will change without another call.
    var isMoving: Bool {
        slots.contains {
            switch $0 {
            case .connecting, .backingOff: true
            case .empty, .ready: false
            }
        }
    }

    mutating func asked(_ waiter: Int, _ action: Acquired) {
        #expect(action.waits == (readyCount == 0))
        if action.waits { waiting.append(waiter) }
        if let link = action.use {
            let isReady = slots.contains { if case .ready(let ready) = $0 { ready === link } else { false } }
            #expect(isReady, "the pool returned a connection that is not ready")
        }
        var empty: [Int] = []
        for index in slots.indices {
            guard case .empty = slots[index] else { continue }
            empty.append(index)
            slots[index] = .connecting
        }
        #expect(action.connect == empty)
    }

    mutating func connected(_ link: Link, slot: Int, _ resumed: [Int]?) {
        #expect(resumed == waiting)
        waiting = []
        slots[slot] = .ready(link)
    }

    mutating func failed(_ error: RedisError, slot: Int, _ action: Pool.FailureAction) {
        #expect(action.failed == (error.isRetriable ? [] : waiting))
        #expect(action.retry != nil)
        if !error.isRetriable { waiting = [] }
        slots[slot] = .backingOff
    }

    mutating func backoffEnded(slot: Int, _ connects: Bool) {
        #expect(connects == !waiting.isEmpty)
        slots[slot] = connects ? .connecting : .empty
    }
}
