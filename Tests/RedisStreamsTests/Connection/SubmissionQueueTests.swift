import NIOCore
import Synchronization
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct SubmissionQueueTests {
    @Test func `Only the first has to wake the event loop, until everything was taken`() {
        let queue = SubmissionQueue()
        #expect(queue.submit("A") == .first)
        #expect(queue.submit("B") == .queued)
        var batch = SubmissionQueue.Batch()
        queue.take(into: &batch)
        #expect(batch.text == "AB")
        #expect(batch.entries.map(\.name) == ["A", "B"])
        #expect(queue.isEmpty)
        batch.empty()
        #expect(queue.submit("C") == .first)
        queue.take(into: &batch)
        #expect(batch.text == "C")
        #expect(batch.entries.map(\.name) == ["C"])
        batch.empty()
        queue.take(into: &batch)
        #expect(batch.text == "")
        #expect(batch.entries.isEmpty)
    }

    @Test func `Large buffers keep their place among small ones`() {
        let queue = SubmissionQueue()
        let large = String(repeating: "x", count: 100_000)
        for text in ["A", large, "B", "C", large, large, "D"] { _ = queue.submit(text) }
        var batch = SubmissionQueue.Batch()
        queue.take(into: &batch)
        #expect(batch.text == "A" + large + "BC" + large + large + "D")
        #expect(batch.byteCount == 300_004)
        #expect(batch.entries.count == 7)
    }

    @Test(arguments: [1, 200_000]) func `Single commands are copied, small and large`(count: Int) {
        let queue = SubmissionQueue()
        let value = String(repeating: "x", count: count)
        for name in ["A", "B"] {
            var encoder = CommandEncoder()
            encoder.append(name)
            encoder.append(value)
            _ = queue.submit(.init(name: name, blockingTime: nil, receiver: .one(PendingReply())), encoder)
        }
        var batch = SubmissionQueue.Batch()
        queue.take(into: &batch)
        #expect(batch.entries.map(\.name) == ["A", "B"])
        #expect(batch.text == ["A", "B"].map { "*2\r\n$1\r\n\($0)\r\n$\(count)\r\n\(value)\r\n" }.joined())
        #expect(batch.byteCount == batch.text.utf8.count)
    }

    @Test func `After the end everything is refused, and what was queued is returned`() {
        let queue = SubmissionQueue()
        _ = queue.submit("A")
        _ = queue.submit("B")
        let unsent = queue.close(RedisError(.timeout, "slow"))
        #expect(unsent.map(\.name) == ["A", "B"])
        #expect(queue.submit("C") == .refused(.timeout))
        #expect(queue.isEmpty)
    }

    @Test func `Too much is refused, until the stream has sent some`() {
        let queue = SubmissionQueue(maxBytes: 10)
        let stream = SlowStream()
        queue.attach(stream)
        #expect(queue.submit("0123456789") == .first)
        #expect(queue.submit("x") == .refused(.connectionUnavailable))
        var batch = SubmissionQueue.Batch()
        queue.take(into: &batch)
        batch.empty()
        stream.unsent.store(10, ordering: .relaxed)
        #expect(queue.submit("x") == .refused(.connectionUnavailable))
        stream.unsent.store(4, ordering: .relaxed)
        #expect(queue.submit("012345") == .first)
        #expect(queue.submit("x") == .refused(.connectionUnavailable))
    }

    @Test func `What was sent is not kept alive`() {
        let queue = SubmissionQueue()
        weak var pending: PendingReply?
        var batch = SubmissionQueue.Batch()
        do {
            let sent = PendingReply()
            pending = sent
            _ = queue.submit([.init(name: "A", blockingTime: nil, receiver: .one(sent))], ByteBuffer(string: "A"))
        }
        queue.take(into: &batch)
        #expect(pending != nil)
        batch.empty()
        #expect(pending == nil)
    }

    @Test func `Each thread's commands keep their order, and names stay with bytes`() async {
        let queue = SubmissionQueue()
        let isDone = Atomic(false)
        async let taken = taking(from: queue, until: { isDone.load(ordering: .acquiring) })
        await withTaskGroup { group in
            for thread in 0..<8 {
                group.addTask { for number in 0..<2000 { _ = queue.submit("\(thread).\(number);") } }
            }
        }
        isDone.store(true, ordering: .releasing)
        let (names, text) = await taken
        #expect(names.joined() == text)
        for thread in 0..<8 {
            let own = names.filter { $0.hasPrefix("\(thread).") }
            #expect(own == (0..<2000).map { "\(thread).\($0);" })
        }
    }

    @concurrent
    private func taking(
        from queue: SubmissionQueue,
        until isDone: @Sendable () -> Bool
    ) async -> (names: [String], text: String) {
        var names: [String] = []
        var text = ""
        var batch = SubmissionQueue.Batch()
        while true {
            let isLast = isDone()
            queue.take(into: &batch)
            names += batch.entries.map(\.name)
            text += batch.text
            batch.empty()
            if isLast { return (names, text) }
            await Task.yield()
        }
    }
}

/// What became of a submission, to compare with.
private enum Submitted: Equatable {
    case queued
    case first
    case refused(RedisError.Code)
}

extension SubmissionQueue {
    /// Submits a command whose name is all it sends.
    fileprivate func submit(_ text: String) -> Submitted {
        let entry = Entry(name: text, blockingTime: nil, receiver: .one(PendingReply()))
        return switch submit([entry], ByteBuffer(string: text)) {
        case .queued: .queued
        case .first: .first
        case .refused(let error): .refused(error.code)
        }
    }
}

extension SubmissionQueue.Batch {
    fileprivate var text: String { (parts + [bytes]).map { String(buffer: $0) }.joined() }
}

/// A stream that sends when the test says so.
private final class SlowStream: ByteStream {
    let unsent = Atomic(0)

    func write(_ bytes: ByteBuffer) {}
    var unsentBytes: Int { unsent.load(ordering: .relaxed) }
    func close() {}
}
