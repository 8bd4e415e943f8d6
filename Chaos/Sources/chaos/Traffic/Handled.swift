import Synchronization

/// How often each message was handled, by its number.
final class Handled: Sendable {
    private struct State {
        var counts: [UInt8] = []
        var total = 0
        var distinct = 0
    }

    private let state = Mutex(State())

    func add(_ number: Int) {
        state.withLock { state in
            if number >= state.counts.count {
                state.counts += Array(repeating: 0, count: max(number + 1 - state.counts.count, state.counts.count))
            }
            if state.counts[number] == 0 { state.distinct += 1 }
            state.counts[number] = min(state.counts[number], 254) + 1
            state.total += 1
        }
    }

    /// How many times a message was handled.
    var total: Int { state.withLock { $0.total } }

    /// How many times a message was handled again.
    var duplicates: Int { state.withLock { $0.total - $0.distinct } }

    func contains(_ number: Int) -> Bool {
        state.withLock { number < $0.counts.count && $0.counts[number] > 0 }
    }

    /// Those of `numbers` that were not handled.
    func missing(of numbers: [Int]) -> [Int] {
        let counts = state.withLock { $0.counts }
        return numbers.filter { $0 >= counts.count || counts[$0] == 0 }
    }
}
