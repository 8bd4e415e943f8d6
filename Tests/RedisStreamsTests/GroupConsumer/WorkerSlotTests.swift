import NIOCore
import NIOEmbedded
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct WorkerSlotTests {
    private let pending = PendingMessages(group: "billing", eventLoop: NIOAsyncTestingEventLoop())

    @Test func `Only the task that handles the lost message is cancelled`() async throws {
        let slot = WorkerSlot()
        let batch = delivered()
        let isCancelled = try await Task {
            try await slot.occupied {
                slot.begin(batch, 0)
                slot.cancel(ifHandling: [HeldPosition(batch: batch, position: 1)])
                // The same id from an earlier delivery.
                slot.cancel(ifHandling: [HeldPosition(batch: delivered(), position: 0)])
                let before = Task.isCancelled
                slot.cancel(ifHandling: [HeldPosition(batch: batch, position: 0)])
                return [before, Task.isCancelled, slot.end()]
            }
        }.value
        #expect(isCancelled == [false, true, true])
    }

    @Test func `A message that was handled before, or is handled later, cancels no task`() async throws {
        let slot = WorkerSlot()
        let batch = delivered()
        let isCancelled = try await Task {
            try await slot.occupied {
                slot.cancel(ifHandling: [HeldPosition(batch: batch, position: 0)])
                slot.cancelIfHandling()
                slot.begin(batch, 0)
                let ended = slot.end()
                slot.cancel(ifHandling: [HeldPosition(batch: batch, position: 0)])
                slot.cancelIfHandling()
                return [ended, Task.isCancelled]
            }
        }.value
        #expect(isCancelled == [false, false])
        slot.cancelIfHandling()
    }

    @Test func `At the deadline every task that handles a message is cancelled`() async throws {
        let slot = WorkerSlot()
        let batch = delivered()
        let started = Gate()
        let working = Task {
            try await slot.occupied {
                slot.begin(batch, 1)
                started.open()
                await untilCancelled()
                return slot.end()
            }
        }
        await started.wait()
        slot.cancelIfHandling()
        #expect(try await working.value)
    }

    @Test func `A cancellation handler may use the slot`() async throws {
        let slot = WorkerSlot()
        let batch = delivered()
        let (started, seen) = (Gate(), Journal<StreamID?>())
        let working = Task {
            try await slot.occupied {
                slot.begin(batch, 1)
                await withTaskCancellationHandler {
                    started.open()
                    await untilCancelled()
                } onCancel: {
                    seen.record(slot.handledID)
                }
                return slot.end()
            }
        }
        await started.wait()
        slot.cancelIfHandling()
        #expect(try await working.value)
        #expect(seen.all == [id("2-0")])
    }

    @Test func `A handler that runs for long is reported once, and again each time the time has doubled`() {
        let slot = WorkerSlot()
        let batch = delivered()
        slot.begin(batch, 0, at: .at(0))
        var reported: [Int64] = []
        for second in 0..<50 {
            guard let overdue = slot.overdue(at: .at(second * 1000), after: .seconds(5)) else { continue }
            #expect(overdue.id == id("1-0"))
            reported.append(overdue.age.nanoseconds / 1_000_000_000)
        }
        #expect(reported == [5, 10, 20, 40])
        slot.end()
        #expect(slot.overdue(at: .at(100_000), after: .seconds(5)) == nil)
        slot.begin(batch, 1, at: .at(100_000))
        #expect(slot.overdue(at: .at(104_999), after: .seconds(5)) == nil, "the time of another message starts at zero")
        #expect(slot.overdue(at: .at(105_000), after: .seconds(5))?.id == id("2-0"))
        // The clock was not read when this handler began.
        slot.begin(batch, 0)
        #expect(slot.age(at: .at(200_000)) == .zero)
        #expect(slot.age(at: .at(203_000)) == .seconds(3))
    }

    @Test func `To add and remove a worker costs no more with many workers than with few`() {
        func fastest(_ count: Int) -> Duration {
            (0..<5).map { _ in
                let dispatcher = Dispatcher(pending, prefetch: 10)
                let slots = (0..<count).map { _ in WorkerSlot() }
                return ContinuousClock().measure {
                    for slot in slots { dispatcher.add(slot) }
                    for slot in slots.reversed() { dispatcher.remove(slot) }
                }
            }.min() ?? .zero
        }
        // A hundred times as long if each costs the same, ten thousand times if the cost grows with their number.
        #expect(fastest(10_000) / fastest(100) < 1000)
    }

    @Test func `The dispatcher cancels the workers that handle lost messages`() async throws {
        let dispatcher = Dispatcher(pending, prefetch: 10)
        let batch = DeliveredBatch(messageBatch(["1-0", "2-0"]), source: .new, pending: pending, leaseStart: .at(0))
        _ = pending.hold(batch)
        let started = Journal<Int>()
        let slots = [WorkerSlot(), WorkerSlot()]
        let gate = Gate()
        let workers = slots.indices.map { number in
            Task {
                dispatcher.add(slots[number])
                defer { dispatcher.remove(slots[number]) }
                return try await slots[number].occupied {
                    slots[number].begin(batch, number)
                    started.record(number)
                    if number == 0 { await untilCancelled() } else { await gate.wait() }
                    return slots[number].end()
                }
            }
        }
        _ = await started.wait(for: 2)
        let lost = pending.change { $0.lose(ids("1-0", "3-0")) }
        #expect(lost.map(\.id) == ids("1-0"))
        dispatcher.cancelHandlers(of: lost)
        #expect(try await workers[0].value, "a worker whose task was cancelled has to be replaced")
        gate.open()
        #expect(try await !workers[1].value)
    }

    private func delivered() -> DeliveredBatch {
        DeliveredBatch(messageBatch(["1-0", "2-0"]), source: .new, pending: pending, leaseStart: .at(0))
    }
}
