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
                slot.cancel(HeldPosition(batch: batch, position: 1))
                // The same id, of an earlier delivery.
                slot.cancel(HeldPosition(batch: delivered(), position: 0))
                let before = Task.isCancelled
                slot.cancel(HeldPosition(batch: batch, position: 0))
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
                slot.cancel(HeldPosition(batch: batch, position: 0))
                slot.cancelIfHandling()
                slot.begin(batch, 0)
                let ended = slot.end()
                slot.cancel(HeldPosition(batch: batch, position: 0))
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

    @Test func `The session cancels those who handle what was lost`() async throws {
        let session = session
        let batch = DeliveredBatch(messageBatch(["1-0", "2-0"]), source: .new, session: session, granted: .at(0))
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
        DeliveredBatch(messageBatch(["1-0", "2-0"]), source: .new, session: session, granted: .at(0))
    }
}
