import Testing

@testable import RedisStreams

@Suite struct PoolLeaseTests {
    @Test func `Leases are bounded, and waiters get them in order`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 2, maxIdle: 8)
        let actions = (1...4).map { pool.lease($0) }
        #expect(actions.map(\.connect) == [[0], [0], [], []])
        #expect(actions.map(\.waits) == [false, false, true, true])
        let first = pool.releaseLease(nil, isReusable: false)
        let second = pool.releaseLease(nil, isReusable: false)
        let third = pool.releaseLease(nil, isReusable: false)
        #expect(first.next == 3)
        #expect(second.next == 4)
        #expect(third.next == nil)
        let free = pool.lease(5)
        let full = pool.lease(6)
        #expect(free.connect == [0])
        #expect(full.waits)
    }

    @Test func `A pool that is closed for a reason tells it to later callers`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 8)
        _ = pool.lease(1)
        let isLeased = pool.isLeased
        #expect(isLeased)
        let end = pool.close(because: refused)
        #expect(end.waiters.isEmpty)
        let later = [pool.lease(2), pool.shared(3)]
        for action in later { #expect(action.failure?.code == .connectionRefused) }
        _ = pool.releaseLease(nil, isReusable: false)
        let isStillLeased = pool.isLeased
        #expect(!isStillLeased)
    }

    @Test func `A released connection is leased again`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 2, maxIdle: 8)
        _ = pool.lease(1)
        let link = Link()
        let isOpen = pool.leaseConnected(link)
        #expect(isOpen)
        let release = pool.releaseLease(link, isReusable: true)
        #expect(release.close.isEmpty)
        let again = pool.lease(2)
        #expect(again.use === link)
        let other = pool.lease(3)
        #expect(other.use == nil)
        #expect(other.connect == [0])
    }

    @Test func `A waiter gets the connection that was released`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 8)
        _ = pool.lease(1)
        let link = Link()
        _ = pool.leaseConnected(link)
        _ = pool.lease(2)
        let release = pool.releaseLease(link, isReusable: true)
        #expect(release.next == 2)
        let taken = pool.takeIdle { _ in true }
        #expect(taken === link)
    }

    @Test func `A connection that is not reusable is dropped`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 8)
        _ = pool.lease(1)
        let link = Link()
        _ = pool.leaseConnected(link)
        let release = pool.releaseLease(link, isReusable: false)
        #expect(release.close.isEmpty)
        let again = pool.lease(2)
        #expect(again.connect == [0])
        let end = pool.close()
        #expect(end.connections.isEmpty)
    }

    @Test func `An unsuitable connection stays available for others`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 2, maxIdle: 8)
        _ = pool.lease(1)
        let link = Link()
        _ = pool.leaseConnected(link)
        _ = pool.releaseLease(link, isReusable: true)
        let unsuitable = pool.lease(2) { $0 !== link }
        #expect(unsuitable.connect == [0])
        let suitable = pool.lease(3) { $0 === link }
        #expect(suitable.use === link)
    }

    @Test func `The number of idle connections is bounded`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 3, maxIdle: 2)
        let links = (0..<3).map { _ in Link() }
        for link in links {
            _ = pool.lease(0)
            _ = pool.leaseConnected(link)
        }
        let closed = links.map { pool.releaseLease($0, isReusable: true).close }
        #expect(closed.map(\.count) == [0, 0, 1])
        #expect(closed[2].first === links[2])
    }

    @Test func `An idle connection that closed is not leased`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 8)
        _ = pool.lease(1)
        let link = Link()
        _ = pool.leaseConnected(link)
        pool.lostIdle(link)
        _ = pool.releaseLease(link, isReusable: true)
        pool.lostIdle(link)
        let again = pool.lease(2)
        #expect(again.use == nil)
    }

    @Test func `Closing the pool also returns leased connections`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 2, maxIdle: 8)
        let links = [Link(), Link()]
        for link in links {
            _ = pool.lease(0)
            _ = pool.leaseConnected(link)
        }
        _ = pool.releaseLease(links[0], isReusable: true)
        let end = pool.close()
        #expect(Set(end.connections.map(ObjectIdentifier.init)) == Set(links.map(ObjectIdentifier.init)))
        let late = pool.releaseLease(links[1], isReusable: true)
        #expect(late.close.first === links[1])
        #expect(late.next == nil)
    }

    @Test func `A lease that is connected after the end has to be closed`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 8)
        _ = pool.lease(1)
        _ = pool.close()
        let isOpen = pool.leaseConnected(Link())
        #expect(!isOpen)
        let release = pool.releaseLease(nil, isReusable: false)
        #expect(release.next == nil)
    }

    @Test func `A removed waiter gets no lease`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 8)
        _ = pool.lease(1)
        _ = pool.lease(2)
        _ = pool.lease(3)
        let removed = pool.removeWaiter(2)
        #expect(removed)
        let release = pool.releaseLease(nil, isReusable: false)
        #expect(release.next == 3)
    }

    @Test(arguments: seeds) func `On a random walk leases never exceed the limit, and no waiter is forgotten`(
        seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        let maxLeases = Int.random(in: 1...4, using: &random)
        var pool = Pool(sharedConnections: 1, maxLeases: maxLeases, maxIdle: 2)
        var model = LeaseModel(maxLeases: maxLeases)
        for step in 0..<400 {
            switch Int.random(in: 0..<6, using: &random) {
            case 0..<3:
                let action = pool.lease(step)
                model.asked(step, action)
                if !action.connect.isEmpty {
                    let link = Link()
                    let isOpen = pool.leaseConnected(link)
                    #expect(isOpen)
                    model.out.append(link)
                }
            case 3..<5:
                guard let index = model.out.indices.randomElement(using: &random) else { continue }
                let link = model.out.remove(at: index)
                let isReusable = random.chance(0.7)
                let action = pool.releaseLease(link, isReusable: isReusable)
                let taken = action.next == nil ? nil : pool.takeIdle { _ in true }
                let made = Link()
                if action.next != nil, taken == nil {
                    let isOpen = pool.leaseConnected(made)
                    #expect(isOpen)
                }
                model.released(link, isReusable: isReusable, action.next, taken, made)
            default:
                guard let waiter = model.waiting.randomElement(using: &random) else { continue }
                let removed = pool.removeWaiter(waiter)
                #expect(removed)
                model.waiting.removeAll { $0 == waiter }
            }
            #expect(model.out.count <= maxLeases)
            #expect(model.waiting.isEmpty || model.out.count == maxLeases, "a caller waits although a lease is free")
        }
        let end = pool.close()
        #expect(end.waiters == model.waiting)
        let closed = Set(end.connections.map(ObjectIdentifier.init))
        #expect(Set(model.out.map(ObjectIdentifier.init)).isSubset(of: closed))
    }
}

/// The leased connections and the waiters that the pool must have.
private struct LeaseModel {
    let maxLeases: Int
    var out: [Link] = []
    var waiting: [Int] = []

    init(maxLeases: Int) {
        self.maxLeases = maxLeases
    }

    mutating func asked(_ waiter: Int, _ action: Acquired) {
        #expect(action.waits == (out.count == maxLeases))
        if action.waits { waiting.append(waiter) }
        guard let link = action.use else { return }
        #expect(!out.contains { $0 === link }, "two leases have the same connection")
        out.append(link)
    }

    mutating func released(_ link: Link, isReusable: Bool, _ next: Int?, _ taken: Link?, _ made: Link) {
        #expect(next == waiting.first)
        guard next != nil else { return }
        waiting.removeFirst()
        if isReusable { #expect(taken != nil) }
        out.append(taken ?? made)
    }
}
