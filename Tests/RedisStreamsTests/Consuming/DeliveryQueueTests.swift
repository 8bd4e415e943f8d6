import Testing

@testable import RedisStreams

private typealias Queue = DeliveryQueue<[Int]>

@Suite struct DeliveryQueueTests {
    @Test func `Messages come in the order of the batches`() {
        var queue = Queue()
        _ = queue.append([1, 2])
        _ = queue.append([3])
        let count = queue.count
        #expect(count == 3)
        let delivered = (0..<4).map { _ in queue.deliver() }
        #expect(delivered == [.message(1), .message(2), .message(3), .nothing])
        let rest = queue.count
        #expect(rest == 0)
    }

    @Test func `An empty batch changes nothing`() {
        var queue = Queue()
        let deliveries = queue.append([])
        #expect(deliveries.isEmpty)
        let next = queue.deliver()
        #expect(next == .nothing)
    }

    @Test func `Waiting messages are delivered before an error, and the error is delivered once`() {
        var queue = Queue()
        _ = queue.append([1])
        let resumed = queue.fail(refusedByTest)
        #expect(resumed.isEmpty)
        let late = queue.append([2])
        #expect(late.isEmpty)
        let delivered = (0..<4).map { _ in queue.deliver() }
        #expect(delivered == [.message(1), .failure(.wrongType), .end, .end])
    }

    @Test func `A second error is ignored`() {
        var queue = Queue()
        _ = queue.fail(refusedByTest)
        _ = queue.fail(RedisError(.timeout, "later"))
        let first = queue.deliver()
        #expect(first == .failure(.wrongType))
    }

    @Test func `After the end nothing is delivered, not even the error`() {
        var queue = Queue()
        _ = queue.append([1, 2])
        _ = queue.fail(refusedByTest)
        _ = queue.end()
        let count = queue.count
        #expect(count == 0)
        let next = queue.deliver()
        #expect(next == .end)
        _ = queue.append([3])
        let later = queue.deliver()
        #expect(later == .end)
    }

    @Test func `After the end, takeRest returns the undelivered messages`() {
        var queue = Queue()
        _ = queue.append([1, 2, 3])
        _ = queue.append([4])
        _ = queue.deliver()
        let early = queue.takeRest()
        #expect(early.isEmpty)
        _ = queue.end()
        _ = queue.append([5, 6])
        let rest = queue.takeRest().map(Array.init)
        #expect(rest == [[2, 3], [4], [5, 6]])
        let again = queue.takeRest()
        #expect(again.isEmpty)
    }

    @Test func `Messages that arrive after an error belong to the undelivered ones, too`() {
        var queue = Queue()
        _ = queue.append([1])
        _ = queue.fail(refusedByTest)
        _ = queue.append([2])
        _ = queue.end()
        let rest = queue.takeRest().map(Array.init)
        #expect(Set(rest) == [[1], [2]])
    }

    @Test(arguments: seeds) func `In random runs every message is delivered once and in order`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = Queue()
        var model: [Int] = []
        var next = 0
        for _ in 0..<500 {
            if random.chance(0.3) {
                let batch = Array(next..<(next + Int.random(in: 0...4, using: &random)))
                next += batch.count
                model += batch
                _ = queue.append(batch)
            } else {
                let delivered = queue.deliver()
                #expect(delivered == (model.isEmpty ? .nothing : .message(model.removeFirst())))
            }
            let count = queue.count
            #expect(count == model.count)
        }
    }
}

let refusedByTest = RedisError(.wrongType, "not a stream")

/// What a queue delivers, in a form that can be compared.
private enum Delivery: Equatable {
    case message(Int)
    case nothing
    case end
    case failure(RedisError.Code)
}

extension DeliveryQueue where Batch == [Int] {
    fileprivate mutating func deliver() -> Delivery {
        switch next() {
        case .message(let message): .message(message)
        case .nothing: .nothing
        case .end: .end
        case .failure(let error): .failure(error.code)
        }
    }
}
