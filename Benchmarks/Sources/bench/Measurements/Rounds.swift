import Foundation

/// The same work, done by each side in turn, round after round.
struct Rounds {
    let name: String
    let count: Int

    /// Returns what each side did, round by round.
    ///
    /// - Parameters:
    ///   - sides: The names of the sides.
    ///   - measure: One run of the side at this index.
    ///   - tell: What came of it, for those who wait.
    func run<Outcome>(
        _ sides: [String],
        measure: (Int) async throws -> Outcome,
        tell: (Outcome) -> String
    ) async throws -> [[Outcome]] {
        var outcomes = sides.map { _ in [Outcome]() }
        for round in 0..<count {
            for turn in sides.indices {
                // Who goes first may find warmer or colder caches: it is each one's turn.
                let index = (turn + round) % sides.count
                outcomes[index].append(try await measure(index))
            }
            let texts = zip(sides, outcomes).map { side, outcomes in "\(side) \(outcomes.last.map(tell) ?? "–")" }
            Progress.say("\(name), round \(round + 1) of \(count): \(texts.joined(separator: "; "))")
        }
        return outcomes
    }
}

/// What is being done, for those who wait.
enum Progress {
    static func say(_ line: String) {
        FileHandle.standardError.write(Data("\(line)\n".utf8))
    }
}
