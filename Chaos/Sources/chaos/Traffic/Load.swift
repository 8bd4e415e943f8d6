import RedisStreams
import Synchronization

/// Adds numbered messages to a stream, until the server has confirmed `count` of them.
///
/// A message that was not confirmed is not sent again: the next one has another number. So no number is in the stream
/// twice, and a message that is handled twice was delivered twice.
final class Load: Sendable {
    private struct State {
        var next = 0
        var confirmed: [StreamID: Int] = [:]
        var givenTwice = 0
    }

    private let redis: RedisClient
    private let stream: StreamKey
    private let count: Int
    private let rate: Double?
    private let state = Mutex(State())

    /// - Parameter rate: The most messages in a second; `nil` for no limit.
    init(_ redis: RedisClient, _ stream: StreamKey, count: Int, rate: Double? = nil) {
        self.redis = redis
        self.stream = stream
        self.count = count
        self.rate = rate
    }

    /// The numbers of the confirmed messages, by their ids.
    var confirmed: [StreamID: Int] { state.withLock { $0.confirmed } }

    /// How often an id was confirmed for two messages.
    var givenTwice: Int { state.withLock { $0.givenTwice } }

    /// The number of the next message.
    var next: Int { state.withLock { $0.next } }

    var confirmedCount: Int { state.withLock { $0.confirmed.count } }

    /// Whether all are confirmed.
    var isDone: Bool { confirmedCount >= count }

    /// Adds messages until enough are confirmed or the task is cancelled.
    func run() async throws {
        try await redis.withProducer(of: stream) { producer in
            await withTaskGroup(of: Void.self) { group in
                // While one task waits for replies, the other sends.
                for _ in 0..<2 { group.addTask { await self.add(with: producer) } }
            }
        }
    }

    private func add(with producer: StreamProducer) async {
        let start = ContinuousClock.now
        while !isDone, !Task.isCancelled {
            let numbers = state.withLock { state in
                defer { state.next += 100 }
                return state.next..<state.next + 100
            }
            if let rate {
                try? await Task.sleep(until: start + .seconds(Double(numbers.lowerBound) / rate), clock: .continuous)
            }
            if await !add(numbers, with: producer) { try? await Task.sleep(for: .milliseconds(20)) }
        }
    }

    /// Returns whether all were confirmed.
    private func add(_ numbers: Range<Int>, with producer: StreamProducer) async -> Bool {
        var receipts: [(Int, StreamProducer.Receipt)] = []
        for number in numbers {
            guard let receipt = try? await producer.submit(["n": .integer(number)]) else { continue }
            receipts.append((number, receipt))
        }
        var added: [(StreamID, Int)] = []
        for (number, receipt) in receipts {
            if let id = try? await receipt.id() { added.append((id, number)) }
        }
        state.withLock { state in
            for (id, number) in added where state.confirmed.updateValue(number, forKey: id) != nil {
                state.givenTwice += 1
            }
        }
        return added.count == numbers.count
    }

    /// Waits until so many are confirmed.
    func reached(_ goal: Int) async throws {
        try await eventually("\(goal) messages are confirmed", within: .seconds(170), every: .milliseconds(2)) {
            self.confirmedCount >= goal
        }
    }
}
