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
        let taken = (0..<4).map { _ in queue.take() }
        #expect(taken == [.message(1), .message(2), .message(3), .nothing])
        let rest = queue.count
        #expect(rest == 0)
    }

    @Test func `An empty batch is none`() {
        var queue = Queue()
        let handed = queue.append([])
        #expect(handed.isEmpty)
        let next = queue.take()
        #expect(next == .nothing)
    }

    @Test func `What is there is handed out before an error, and the error is told once`() {
        var queue = Queue()
        _ = queue.append([1])
        let told = queue.fail(refusedByTest)
        #expect(told.isEmpty)
        let late = queue.append([2])
        #expect(late.isEmpty)
        let taken = (0..<4).map { _ in queue.take() }
        #expect(taken == [.message(1), .failure(.wrongType), .end, .end])
    }

    @Test func `A second error is ignored`() {
        var queue = Queue()
        _ = queue.fail(refusedByTest)
        _ = queue.fail(RedisError(.timeout, "later"))
        let first = queue.take()
        #expect(first == .failure(.wrongType))
    }

    @Test func `After the end nothing is handed out, not even the error`() {
        var queue = Queue()
        _ = queue.append([1, 2])
        _ = queue.fail(refusedByTest)
        _ = queue.end()
        let count = queue.count
        #expect(count == 0)
        let next = queue.take()
        #expect(next == .end)
        _ = queue.append([3])
        let later = queue.take()
        #expect(later == .end)
    }

    @Test func `What was not handed out is the rest, once nothing is handed out any more`() {
        var queue = Queue()
        _ = queue.append([1, 2, 3])
        _ = queue.append([4])
        _ = queue.take()
        let early = queue.takeRest()
        #expect(early.isEmpty)
        _ = queue.end()
        _ = queue.append([5, 6])
        let rest = queue.takeRest().map(Array.init)
        #expect(rest == [[2, 3], [4], [5, 6]])
        let again = queue.takeRest()
        #expect(again.isEmpty)
    }

    @Test func `What comes behind an error is rest too`() {
        var queue = Queue()
        _ = queue.append([1])
        _ = queue.fail(refusedByTest)
        _ = queue.append([2])
        _ = queue.end()
        let rest = queue.takeRest().map(Array.init)
        #expect(Set(rest) == [[1], [2]])
    }

    @Test(arguments: seeds) func `On a random walk every message is handed out once and in order`(seed: UInt64) {
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
                let taken = queue.take()
                #expect(taken == (model.isEmpty ? .nothing : .message(model.removeFirst())))
            }
            let count = queue.count
            #expect(count == model.count)
        }
    }
}

let refusedByTest = RedisError(.wrongType, "not a stream")

/// What a queue hands out, to compare with.
private enum Taken: Equatable {
    case message(Int)
    case nothing
    case end
    case failure(RedisError.Code)
}

extension DeliveryQueue where Batch == [Int] {
    fileprivate mutating func take() -> Taken {
        switch next() {
        case .message(let message): .message(message)
        case .nothing: .nothing
        case .end: .end
        case .failure(let error): .failure(error.code)
        }
    }
}
