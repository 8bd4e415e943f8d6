import RedisStreams
import Synchronization
import Testing

/// Collects values from any number of tasks.
final class Recorder<Value: Sendable>: Sendable {
    private let state = Mutex<[Value]>([])

    var all: [Value] { state.withLock { $0 } }
    var count: Int { state.withLock { $0.count } }

    func add(_ value: Value) {
        state.withLock { $0.append(value) }
    }
}

/// Adds numbered messages to a stream, one after the other, and goes on when the server fails.
///
/// Only what the server has confirmed counts as added.
struct Producer: Sendable {
    let redis: RedisClient
    let stream: StreamKey
    let confirmed = Recorder<Int>()
    let lastTried = Recorder<Int>()

    /// Adds messages until the task is cancelled.
    func run() async {
        var number = 0
        while !Task.isCancelled {
            number += 1
            lastTried.add(number)
            guard (try? await redis.xadd(stream, ["n": .integer(number)])) != nil else { continue }
            confirmed.add(number)
        }
    }
}

extension GroupMessage {
    /// The number that a `Producer` gave the message.
    var number: Int { self["n"].flatMap { Int($0) } ?? -1 }
}

/// Collects distinct numbers from any number of tasks.
final class NumberSet: Sendable {
    private let state = Mutex<Set<Int>>([])

    var count: Int { state.withLock { $0.count } }

    func insert(_ number: Int) {
        state.withLock { _ = $0.insert(number) }
    }

    func holdsAll(_ numbers: [Int]) -> Bool {
        state.withLock { $0.isSuperset(of: numbers) }
    }
}
