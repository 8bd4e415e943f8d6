import Testing

@testable import RedisStreams

/// A stand-in for a connection.
final class Link: Sendable {}

typealias Pool = PoolStateMachine<Link>

let refused = RedisError(.connectionRefused, "refused")
let wrongPassword = RedisError(.authenticationFailed, "wrong")

@Suite struct PoolStateMachineTests {
    @Test func `The first call that needs a connection connects all empty slots`() {
        var pool = Pool(sharedConnections: 2, maxLeases: 1, maxIdle: 1)
        let first = pool.shared(1)
        let second = pool.shared(2)
        #expect(first.connect == [0, 1])
        #expect(second.connect == [])
    }

    @Test func `All waiters get the first connection that is ready`() {
        var pool = Pool(sharedConnections: 2, maxLeases: 1, maxIdle: 1)
        _ = pool.shared(1)
        _ = pool.shared(2)
        let link = Link()
        let resumed = pool.connected(link, slot: 1)
        let none = pool.connected(Link(), slot: 0)
        #expect(resumed == [1, 2])
        #expect(none == [])
    }

    @Test func `Ready connections are used in turn`() {
        var pool = Pool(sharedConnections: 3, maxLeases: 1, maxIdle: 1)
        _ = pool.shared(1)
        let links = (0..<3).map { _ in Link() }
        for (slot, link) in links.enumerated() { _ = pool.connected(link, slot: slot) }
        for round in 0..<6 {
            let used = pool.shared(round).use
            #expect(used === links[round % 3])
        }
    }

    @Test func `A lost connection is replaced when a call needs one`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 1)
        _ = pool.shared(1)
        let link = Link()
        _ = pool.connected(link, slot: 0)
        pool.lost(link, slot: 0)
        let action = pool.shared(2)
        #expect(action.connect == [0])
        #expect(action.use == nil)
    }

    @Test func `A lost connection is replaced even if others are ready`() {
        var pool = Pool(sharedConnections: 2, maxLeases: 1, maxIdle: 1)
        _ = pool.shared(1)
        let lost = Link()
        let kept = Link()
        _ = pool.connected(lost, slot: 0)
        _ = pool.connected(kept, slot: 1)
        pool.lost(lost, slot: 0)
        let action = pool.shared(2)
        #expect(action.use === kept)
        #expect(action.connect == [0])
    }

    @Test func `The end of an earlier connection of a slot does not affect the present one`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 1)
        _ = pool.shared(1)
        let earlier = Link()
        let present = Link()
        _ = pool.connected(earlier, slot: 0)
        pool.lost(earlier, slot: 0)
        _ = pool.shared(2)
        _ = pool.connected(present, slot: 0)
        pool.lost(earlier, slot: 0)
        let used = pool.shared(3).use
        #expect(used === present)
    }

    @Test func `After a temporary failure the pool tries again with growing delays, and no waiter fails`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 1)
        _ = pool.shared(1)
        for attempt in 1...4 {
            let action = pool.connectFailed(refused, slot: 0)
            #expect(action.failed == [])
            #expect(action.retry == attempt)
            let backingOff = pool.shared(attempt + 1)
            #expect(backingOff.connect == [], "a slot that is backing off does not connect")
            let connects = pool.backoffEnded(slot: 0)
            #expect(connects)
        }
        let resumed = pool.connected(Link(), slot: 0)
        #expect(resumed == [1, 2, 3, 4, 5])
        let after = pool.connectFailed(refused, slot: 0)
        #expect(after.retry == 1, "a success resets the number of attempts")
    }

    @Test func `After backing off, a slot without waiters does not connect, and keeps its attempt count`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 1)
        _ = pool.shared(1)
        _ = pool.connectFailed(refused, slot: 0)
        let removed = pool.removeWaiter(1)
        #expect(removed)
        let connects = pool.backoffEnded(slot: 0)
        #expect(!connects)
        let action = pool.shared(2)
        #expect(action.connect == [0])
        let next = pool.connectFailed(refused, slot: 0)
        #expect(next.retry == 2)
    }

    @Test func `A permanent failure fails all waiters at once`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 1)
        _ = pool.shared(1)
        _ = pool.shared(2)
        let action = pool.connectFailed(wrongPassword, slot: 0)
        #expect(action.failed == [1, 2])
        #expect(action.retry == 1)
        let later = pool.shared(3)
        #expect(later.connect == [], "the slot backs off after such a failure, too")
        let connects = pool.backoffEnded(slot: 0)
        #expect(connects)
    }

    @Test func `Only a slot that is backing off reacts to the end of its delay`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 1)
        let empty = pool.backoffEnded(slot: 0)
        _ = pool.shared(1)
        let connecting = pool.backoffEnded(slot: 0)
        _ = pool.connected(Link(), slot: 0)
        let ready = pool.backoffEnded(slot: 0)
        #expect([empty, connecting, ready] == [false, false, false])
    }

    @Test func `A waiter can be removed once`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 1)
        _ = pool.shared(1)
        let first = pool.removeWaiter(1)
        let second = pool.removeWaiter(1)
        #expect(first)
        #expect(!second)
        let resumed = pool.connected(Link(), slot: 0)
        #expect(resumed == [])
    }

    @Test func `The error of a waiter that expires says why`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 1)
        _ = pool.shared(1)
        let stopped = pool.expired(1, isRunning: false)
        #expect(stopped.code == .connectionUnavailable)
        #expect(stopped.message.contains("run()"))
        let unknown = pool.expired(1, isRunning: true)
        #expect(unknown.code == .connectionUnavailable)
        _ = pool.connectFailed(refused, slot: 0)
        let known = pool.expired(1, isRunning: true)
        #expect(known.code == .connectionRefused)
        _ = pool.lease(2)
        _ = pool.lease(3)
        let crowded = pool.expired(3, isRunning: true)
        #expect(crowded.message.contains("maxLeasedConnections"))
        let unrelated = pool.expired(1, isRunning: true)
        #expect(unrelated.code == .connectionRefused, "the number of leases is not why a shared one is missing")
    }

    @Test func `Closing the pool returns all waiters, and every connection once`() {
        var pool = Pool(sharedConnections: 2, maxLeases: 2, maxIdle: 2)
        _ = pool.shared(1)
        let ready = Link()
        let idle = Link()
        _ = pool.connected(ready, slot: 0)
        _ = pool.lease(2)
        _ = pool.releaseLease(idle, isReusable: true)
        pool.lost(ready, slot: 0)
        _ = pool.shared(3)
        _ = pool.lease(4)
        _ = pool.lease(5)
        _ = pool.lease(6)
        let end = pool.close()
        #expect(end.waiters == [3, 6])
        let again = pool.close()
        #expect(again.waiters == [])
        #expect(again.connections.isEmpty)
    }

    @Test func `After the end no connection is leased, and no attempt is repeated`() {
        var pool = Pool(sharedConnections: 1, maxLeases: 1, maxIdle: 1)
        _ = pool.shared(1)
        _ = pool.close()
        let shared = pool.shared(2)
        #expect(shared.failure?.code == .clientShutDown)
        let lease = pool.lease(3)
        #expect(lease.failure?.code == .clientShutDown)
        let resumed = pool.connected(Link(), slot: 0)
        #expect(resumed == nil, "the connection is to be closed")
        let failed = pool.connectFailed(refused, slot: 0)
        #expect(failed.retry == nil)
        let connects = pool.backoffEnded(slot: 0)
        #expect(!connects)
    }
}
