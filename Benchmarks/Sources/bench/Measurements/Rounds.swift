import Foundation

/// The same work, done by each side in turn, round after round.
struct Rounds {
    let name: String
    let count: Int

    /// Returns the outcomes of each side, round by round.
    ///
    /// - Parameters:
    ///   - sides: The names of the sides.
    ///   - measure: One run of the side at this index.
    ///   - describe: The outcome as text, for the progress output.
    func run<Outcome>(
        _ sides: [String],
        measure: (Int) async throws -> Outcome,
        describe: (Outcome) -> String
    ) async throws -> [[Outcome]] {
        var outcomes = sides.map { _ in [Outcome]() }
        for round in 0..<count {
            for turn in sides.indices {
                // The first side may find warmer or colder caches, so that each is first in turn.
                let index = (turn + round) % sides.count
                outcomes[index].append(try await measure(index))
            }
            let texts = zip(sides, outcomes).map { side, outcomes in "\(side) \(outcomes.last.map(describe) ?? "–")" }
            Progress.say("\(name), round \(round + 1) of \(count): \(texts.joined(separator: "; "))")
        }
        return outcomes
    }
}

/// Prints the progress to standard error.
enum Progress {
    static func say(_ line: String) {
        FileHandle.standardError.write(Data("\(line)\n".utf8))
    }
}
