import NIOEmbedded
import Testing

@testable import RedisStreams

@Suite struct HandlerContextTests {
    private let pending = PendingMessages(group: "billing", eventLoop: NIOAsyncTestingEventLoop())

    @Test func `Emitted entries are staged in order, with their streams and their trimming`() throws {
        let context = HandlerContext(message())
        try context.emit(["a": "1", "b": "2"], to: "out")
        try context.emit(["c": "3"], to: "other", maxLength: 100)
        let outputs = context.outputs
        #expect(outputs.map(\.stream) == ["out", "other"])
        #expect(outputs.map(\.maxLength) == [nil, 100])
        #expect(outputs.map(\.fields) == [[.text("a"), "1", .text("b"), "2"], [.text("c"), "3"]])
    }

    @Test func `A value is emitted as the fields of its properties`() throws {
        struct Invoice: Codable, Sendable {
            var order: String
            var total: Double
        }
        let context = HandlerContext(message())
        try context.emit(Invoice(order: "1-0", total: 12.5), to: "out", maxLength: 10)
        // A literal keeps its order: it is not a dictionary.
        try context.emit(["b": "1", "a": "2"], to: "out")
        #expect(context.outputs[0].fields == [.text("order"), "1-0", .text("total"), "12.5"])
        #expect(context.outputs[0].maxLength == 10)
        #expect(context.outputs[1].fields == [.text("b"), "1", .text("a"), "2"])
        #expect { try context.emit(5, to: "out") } throws: { ($0 as? RedisError)?.code == .encodingFailed }
        #expect(context.outputs.count == 2)
    }

    @Test func `An invalid entry is refused at once, and not staged`() {
        let context = HandlerContext(message())
        #expect { try context.emit([:], to: "out") } throws: { ($0 as? RedisError)?.code == .invalidArgument }
        #expect { try context.emit(["a": "1"], to: "out", maxLength: -1) } throws: {
            ($0 as? RedisError)?.code == .invalidArgument
        }
        let many = StreamFieldsToAdd((0...3900).map { StreamFieldsToAdd.Field("\($0)", .integer($0)) })
        #expect { try context.emit(many, to: "out") } throws: { ($0 as? RedisError)?.code == .invalidArgument }
        #expect(context.outputs.isEmpty)
    }

    @Test func `If a message is acknowledged before it is handled, a handler cannot emit entries`() {
        let pending = PendingMessages(
            group: "billing",
            keepsPending: false,
            eventLoop: NIOAsyncTestingEventLoop()
        )
        let batch = DeliveredBatch(messageBatch(["1-0"]), source: .new, pending: pending, leaseStart: .at(0))
        let context = HandlerContext(GroupMessage(batch: batch, position: 0))
        #expect { try context.emit(["a": "1"], to: "out") } throws: { ($0 as? RedisError)?.code == .invalidArgument }
        #expect(context.outputs.isEmpty)
    }

    @Test func `In a cluster, a stream in another slot is refused at once, and one with the same hash tag is staged`()
        throws
    {
        let pending = PendingMessages(group: "billing", slotKey: "{orders}:in", eventLoop: NIOAsyncTestingEventLoop())
        let batch = DeliveredBatch(messageBatch(["1-0"]), source: .new, pending: pending, leaseStart: .at(0))
        let context = HandlerContext(GroupMessage(batch: batch, position: 0))
        let error = #expect(throws: RedisError.self) { try context.emit(["a": "1"], to: "invoices") }
        #expect(error?.code == .crossSlot)
        let message = error?.message ?? ""
        #expect(message.contains("'{orders}:in'") && message.contains("'invoices'") && message.contains("hash tag"))
        #expect(context.outputs.isEmpty)
        try context.emit(["a": "1"], to: "{orders}:out")
        #expect(context.outputs.map(\.stream) == ["{orders}:out"])
    }

    @Test func `Copies of a context share their staged entries`() throws {
        let context = HandlerContext(message())
        let copy = context
        try copy.emit(["a": "1"], to: "out")
        #expect(context.outputs.count == 1)
    }

    @Test func `A context has the attempt, and whether the lease was lost`() {
        let batch = DeliveredBatch(
            messageBatch(["1-0", "2-0"]),
            counts: [DeliveryCount(1), DeliveryCount(3002)],
            source: .claimed,
            pending: pending,
            leaseStart: .at(0)
        )
        _ = pending.hold(batch)
        let messages = [GroupMessage(batch: batch, position: 0), GroupMessage(batch: batch, position: 1)]
        let contexts = messages.map { HandlerContext($0) }
        #expect(contexts.map(\.attempt) == [1, 4])
        #expect(messages.map(\.crashes) == [0, 1])
        #expect(contexts.map(\.leaseLost) == [false, false])
        _ = pending.change { $0.lose(ids("1-0")) }
        #expect(contexts.map(\.leaseLost) == [true, false])
        #expect(messages.map(\.isHeld) == [false, true])
    }

    private func message() -> GroupMessage {
        let batch = DeliveredBatch(messageBatch(["1-0"]), source: .new, pending: pending, leaseStart: .at(0))
        return GroupMessage(batch: batch, position: 0)
    }
}
