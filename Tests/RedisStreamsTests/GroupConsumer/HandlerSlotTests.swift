import NIOCore
import NIOEmbedded
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct HandlerSlotTests {
    private let session = GroupSession(group: "billing", prefetch: 10, eventLoop: NIOAsyncTestingEventLoop())

    @Test func `Only the task that handles the lost message is cancelled`() async throws {
        let slot = HandlerSlot()
        let batch = delivered()
        let isCancelled = try await Task {
            try await slot.occupied {
                slot.begin(batch, 0)
                slot.cancel(ifHandling: [HeldPosition(batch: batch, position: 1)])
                // The same id, of an earlier delivery.
                slot.cancel(ifHandling: [HeldPosition(batch: delivered(), position: 0)])
                let before = Task.isCancelled
                slot.cancel(ifHandling: [HeldPosition(batch: batch, position: 0)])
                return [before, Task.isCancelled, slot.end()]
            }
        }.value
        #expect(isCancelled == [false, true, true])
    }

    @Test func `A message that is done with cancels nobody, nor does one that is to come`() async throws {
        let slot = HandlerSlot()
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

    @Test func `At the deadline whoever handles something is cancelled`() async throws {
        let slot = HandlerSlot()
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

    @Test func `What a handler does on cancellation may look at the slot`() async throws {
        let slot = HandlerSlot()
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

    @Test func `A handler that runs for long is told once, and again each time the time has doubled`() {
        let slot = HandlerSlot()
        let batch = delivered()
        slot.begin(batch, 0, at: .at(0))
        var told: [Int64] = []
        for second in 0..<50 {
            guard let overdue = slot.overdue(at: .at(second * 1000), after: .seconds(5)) else { continue }
            #expect(overdue.id == id("1-0"))
            told.append(overdue.age.nanoseconds / 1_000_000_000)
        }
        #expect(told == [5, 10, 20, 40])
        slot.end()
        #expect(slot.overdue(at: .at(100_000), after: .seconds(5)) == nil)
        slot.begin(batch, 1, at: .at(100_000))
        #expect(slot.overdue(at: .at(104_999), after: .seconds(5)) == nil, "another message counts by itself")
        #expect(slot.overdue(at: .at(105_000), after: .seconds(5))?.id == id("2-0"))
        // Nobody looked at the clock when it began.
        slot.begin(batch, 0)
        #expect(slot.age(at: .at(200_000)) == .zero)
        #expect(slot.age(at: .at(203_000)) == .seconds(3))
    }

    @Test func `What comes and goes costs no more with many workers than with few`() {
        func fastest(_ count: Int) -> Duration {
            (0..<5).map { _ in
                let session = session
                let slots = (0..<count).map { _ in HandlerSlot() }
                return ContinuousClock().measure {
                    for slot in slots { session.add(slot) }
                    for slot in slots.reversed() { session.remove(slot) }
                }
            }.min() ?? .zero
        }
        // A hundred times as long if each costs the same, ten thousand times if each costs as much as there are.
        #expect(fastest(10_000) / fastest(100) < 1000)
    }

    @Test func `The session cancels those who handle what was lost`() async throws {
        let session = session
        let batch = DeliveredBatch(messageBatch(["1-0", "2-0"]), source: .new, session: session, leaseStart: .at(0))
        session.deliver(batch, bytes: 0, isHeld: true)
        let started = Journal<Int>()
        let slots = [HandlerSlot(), HandlerSlot()]
        let gate = Gate()
        let workers = slots.indices.map { number in
            Task {
                session.add(slots[number])
                defer { session.remove(slots[number]) }
                return try await slots[number].occupied {
                    slots[number].begin(batch, number)
                    started.record(number)
                    if number == 0 { await untilCancelled() } else { await gate.wait() }
                    return slots[number].end()
                }
            }
        }
        _ = await started.wait(for: 2)
        #expect(session.lose(ids("1-0", "3-0")) == ids("1-0"))
        #expect(try await workers[0].value, "a worker whose task is cancelled has to be replaced")
        gate.open()
        #expect(try await !workers[1].value)
    }

    private func delivered() -> DeliveredBatch {
        DeliveredBatch(messageBatch(["1-0", "2-0"]), source: .new, session: session, leaseStart: .at(0))
    }
}
