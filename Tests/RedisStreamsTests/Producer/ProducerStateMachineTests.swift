import Testing

@testable import RedisStreams

private typealias Machine = ProducerStateMachine<Int, Int>

@Suite struct ProducerStateMachineTests {
    @Test func `A batch ends at batchCount messages`() {
        var machine = Machine(bounds(batchCount: 3))
        for item in 0..<7 { _ = machine.add(item) }
        let isFull = machine.isBatchFull
        #expect(isFull)
        let batches = (0..<4).map { _ in machine.takeBatch() }
        #expect(batches.map(\.items) == [[0, 1, 2], [3, 4, 5], [6], []])
        #expect(batches.map(\.bytes) == [3, 3, 1, 0])
    }

    @Test func `A batch ends when it reaches batchBytes`() {
        var machine = Machine(bounds(batchBytes: 10))
        for (item, bytes) in [4, 4, 4, 12, 1].enumerated() { _ = machine.add(item, bytes: bytes) }
        let batches = (0..<4).map { _ in machine.takeBatch() }
        #expect(batches.map(\.items) == [[0, 1, 2], [3], [4], []])
    }

    @Test func `A batch is full if waiting for more messages makes no sense`() {
        var machine = Machine(bounds(batchCount: 2, bufferCount: 10))
        let empty = machine.isBatchFull
        _ = machine.add(0)
        let partial = machine.isBatchFull
        _ = machine.add(1)
        let full = machine.isBatchFull
        #expect([empty, partial, full] == [false, false, true])
        var finished = Machine(bounds())
        _ = finished.add(0)
        finished.finish(shutDown)
        let atTheEnd = finished.isBatchFull
        #expect(atTheEnd)
        var crowded = Machine(bounds(bufferCount: 1))
        _ = crowded.add(0)
        _ = crowded.add(1)
        let whileSomebodyWaits = crowded.isBatchFull
        #expect(whileSomebodyWaits)
    }

    @Test func `If the buffer is full, messages wait, and are accepted in order`() {
        var machine = Machine(bounds(bufferCount: 2))
        let added = (0..<5).map { machine.add($0) }
        #expect(added == [.accepted, .accepted, .waiting, .waiting, .waiting])
        let batch = machine.takeBatch()
        #expect(batch.items == [0, 1])
        let none = machine.add(5)
        #expect(none == .waiting, "sent messages count")
        let first = machine.settled(count: 1, bytes: 1)
        #expect(first == [2])
        let second = machine.settled(count: 1, bytes: 1)
        #expect(second == [3])
        let next = machine.takeBatch()
        #expect(next.items == [2, 3])
    }

    @Test func `No message overtakes one that waits, however small it is`() {
        var machine = Machine(bounds(bufferBytes: 10))
        _ = machine.add(0, bytes: 8)
        let large = machine.add(1, bytes: 5)
        let small = machine.add(2, bytes: 1)
        #expect([large, small] == [.waiting, .waiting])
        _ = machine.takeBatch()
        let admitted = machine.settled(count: 1, bytes: 8)
        #expect(admitted == [1, 2])
    }

    @Test func `A message larger than the buffer is accepted if the buffer is empty`() {
        var machine = Machine(bounds(bufferBytes: 10))
        let alone = machine.add(0, bytes: 100)
        let next = machine.add(1, bytes: 1)
        #expect([alone, next] == [.accepted, .waiting])
        let batch = machine.takeBatch()
        #expect(batch.bytes == 100)
        let admitted = machine.settled(count: 1, bytes: 100)
        #expect(admitted == [1])
        let large = machine.add(2, bytes: 100)
        #expect(large == .waiting)
    }

    @Test func `A message that waits for room can be cancelled, and is not sent`() {
        var machine = Machine(bounds(bufferCount: 1))
        _ = machine.add(0)
        _ = machine.add(1)
        _ = machine.add(2)
        let waiter = machine.cancel(id: 1).waiter
        let again = machine.cancel(id: 1).waiter
        let accepted = machine.cancel(id: 0).waiter
        #expect(waiter == 1)
        #expect(again == nil)
        #expect(accepted == nil, "an accepted message cannot be cancelled")
        _ = machine.takeBatch()
        let admitted = machine.settled(count: 1, bytes: 1)
        #expect(admitted == [2])
    }

    @Test func `A cancelled message makes room for those after it`() {
        var machine = Machine(bounds(bufferBytes: 10))
        _ = machine.add(0, bytes: 5)
        _ = machine.add(1, bytes: 9)
        _ = machine.add(2, bytes: 2)
        let cancelled = machine.cancel(id: 1)
        #expect(cancelled.waiter == 1)
        #expect(cancelled.admitted == [2])
    }

    @Test func `After the end no message is accepted, except for those that already wait`() {
        var machine = Machine(bounds(bufferCount: 1))
        _ = machine.add(0)
        _ = machine.add(1)
        machine.finish(shutDown)
        let refused = machine.add(2)
        #expect(refused == .refused(.clientShutDown))
        let finished = machine.isFinished
        #expect(!finished)
        _ = machine.takeBatch()
        let admitted = machine.settled(count: 1, bytes: 1)
        #expect(admitted == [1])
        _ = machine.takeBatch()
        let sent = machine.isFinished
        let drained = machine.isDrained
        #expect(sent)
        #expect(!drained)
        _ = machine.settled(count: 1, bytes: 1)
        let drainedNow = machine.isDrained
        #expect(drainedNow)
    }

    @Test func `An abort returns the messages that were not sent, and the waiters`() {
        var machine = Machine(bounds(batchCount: 1, bufferCount: 3))
        for item in 0..<5 { _ = machine.add(item) }
        _ = machine.takeBatch()
        let (items, waiters) = machine.abort(shutDown)
        #expect(items == [1, 2])
        #expect(waiters == [3, 4])
        let drained = machine.isDrained
        #expect(!drained, "one message is sent and has no reply")
        let admitted = machine.settled(count: 1, bytes: 1)
        #expect(admitted == [])
        let drainedNow = machine.isDrained
        #expect(drainedNow)
        let refused = machine.add(5)
        #expect(refused == .refused(.clientShutDown))
    }

    @Test(arguments: seeds) func `On a random walk the buffer is bounded and everything is sent in order`(
        seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        let configuration = bounds(
            batchCount: Int.random(in: 1...5, using: &random),
            batchBytes: Int.random(in: 1...20, using: &random),
            bufferCount: Int.random(in: 1...8, using: &random),
            bufferBytes: Int.random(in: 1...30, using: &random)
        )
        var machine = Machine(configuration)
        var model = BufferModel(configuration)
        for item in 0..<400 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1:
                let bytes = Int.random(in: 0...12, using: &random)
                model.added(item, bytes, machine.add(item, bytes: bytes))
            case 2:
                model.taken(machine.takeBatch())
            case 3:
                guard let (items, bytes) = model.settleOne(&random) else { continue }
                model.admitted(machine.settled(count: items.count, bytes: bytes))
            default:
                guard let waiter = model.waiting.randomElement(using: &random)?.item else { continue }
                let cancelled = machine.cancel(id: waiter)
                #expect(cancelled.waiter == waiter)
                model.waiting.removeAll { $0.item == waiter }
                model.admitted(cancelled.admitted)
            }
            let isDrained = machine.isDrained
            let hasPending = machine.hasPending
            #expect(isDrained == (model.held.isEmpty && model.waiting.isEmpty))
            #expect(hasPending == !model.pending.isEmpty)
            model.check()
        }
    }
}

private struct BufferModel {
    let configuration: StreamProducer.Configuration
    var waiting: [(item: Int, bytes: Int)] = []
    var pending: [(item: Int, bytes: Int)] = []
    var sent: [(items: [Int], bytes: Int)] = []

    init(_ configuration: StreamProducer.Configuration) {
        self.configuration = configuration
    }

    var held: [Int] { pending.map(\.item) + sent.flatMap(\.items) }
    private var heldBytes: Int { pending.map(\.bytes).reduce(0, +) + sent.map(\.bytes).reduce(0, +) }

    mutating func added(_ item: Int, _ bytes: Int, _ result: Added) {
        if result == .accepted { pending.append((item, bytes)) } else { waiting.append((item, bytes)) }
    }

    mutating func taken(_ batch: (items: [Int], bytes: Int)) {
        #expect(batch.items == pending.prefix(batch.items.count).map(\.item))
        #expect(batch.items.count <= configuration.batchCount)
        #expect(batch.items.isEmpty == pending.isEmpty)
        let bytes = pending.prefix(batch.items.count).map(\.bytes)
        #expect(batch.bytes == bytes.reduce(0, +))
        #expect(bytes.dropLast().reduce(0, +) < configuration.batchBytes)
        pending.removeFirst(batch.items.count)
        if !batch.items.isEmpty { sent.append(batch) }
    }

    mutating func settleOne(_ random: inout SeededGenerator) -> (items: [Int], bytes: Int)? {
        guard let index = sent.indices.randomElement(using: &random) else { return nil }
        return sent.remove(at: index)
    }

    mutating func admitted(_ items: [Int]) {
        #expect(items == waiting.prefix(items.count).map(\.item))
        pending += waiting.prefix(items.count)
        waiting.removeFirst(items.count)
    }

    func check() {
        let isWithinBounds = held.count <= configuration.bufferCount && heldBytes <= configuration.bufferBytes
        #expect(isWithinBounds || held.count == 1)
        guard let next = waiting.first else { return }
        let fits = held.count < configuration.bufferCount && heldBytes + next.bytes <= configuration.bufferBytes
        #expect(!held.isEmpty && !fits, "a message waits although there is room")
    }
}

private let shutDown = RedisError(.clientShutDown, "test")

private func bounds(
    batchCount: Int = 100,
    batchBytes: Int = 1000,
    bufferCount: Int = 100,
    bufferBytes: Int = 1000
) -> StreamProducer.Configuration {
    var configuration = StreamProducer.Configuration()
    configuration.batchCount = batchCount
    configuration.batchBytes = batchBytes
    configuration.bufferCount = bufferCount
    configuration.bufferBytes = bufferBytes
    return configuration
}

/// The result of a submission, for comparisons.
private enum Added: Equatable {
    case accepted
    case waiting
    case refused(RedisError.Code)
}

extension ProducerStateMachine<Int, Int> {
    /// Adds an item that is its own waiter.
    fileprivate mutating func add(_ item: Int, bytes: Int = 1) -> Added {
        switch submit(item, bytes: bytes, id: item, waiter: item) {
        case .accepted: .accepted
        case .waiting: .waiting
        case .refused(let error): .refused(error.code)
        }
    }
}
