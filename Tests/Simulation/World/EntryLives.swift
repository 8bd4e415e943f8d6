import RedisStreams

/// The states that each entry had in each consumer, with the times, for a run that is traced.
///
// SAFETY: there is one thread.
final class EntryLives: @unchecked Sendable {
    private let isKept: Bool
    private let now: () -> VirtualTime
    private var lines: [StreamID: [String]] = [:]

    init(isKept: Bool, now: @escaping () -> VirtualTime) {
        self.isKept = isKept
        self.now = now
    }

    /// Gives a consumer a closure that it calls with each change of the state of an entry.
    func follow(_ configuration: inout GroupConsumer.Configuration, of node: Node) {
        guard isKept else { return }
        configuration.onEntryChange = { [self] id, state in
            lines[id, default: []].append("\(now()) ms  \(node.name): \(state ?? "unknown")")
        }
    }

    /// The lives of the entries that these violations name.
    func lives(namedIn violations: [String]) -> [String] {
        let named = lines.keys.filter { id in violations.contains { $0.contains("\(id)") } }
        return named.sorted().flatMap { id in ["the life of \(id):"] + lines[id, default: []].map { "  " + $0 } }
    }
}
