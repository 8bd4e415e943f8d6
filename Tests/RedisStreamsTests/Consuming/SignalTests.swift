import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct SignalTests {
    @Test func `A signal before the wait is remembered, and several count as one`() async {
        let signal = Signal()
        signal.fire()
        signal.fire()
        await signal.wait()
        let order = Journal<Int>()
        let waiter = Task {
            await signal.wait()
            order.record(2)
        }
        order.record(1)
        signal.fire()
        await waiter.value
        #expect(order.all == [1, 2])
    }

    @Test func `Cancellation ends the wait, before it and during it`() async {
        let signal = Signal()
        let gate = Gate()
        let before = Task {
            await gate.wait()
            await signal.wait()
        }
        before.cancel()
        gate.open()
        await before.value
        let during = Task { await signal.wait() }
        await Task.yield()
        during.cancel()
        await during.value
    }

    @Test func `Signals and cancellations at the same time end every wait`() async {
        for _ in 0..<500 {
            let signal = Signal()
            let waiter = Task { await signal.wait() }
            async let fired: Void = signal.fire()
            waiter.cancel()
            await fired
            await waiter.value
        }
    }
}
