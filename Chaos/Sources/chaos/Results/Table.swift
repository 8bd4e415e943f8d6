/// A row of the table.
struct Row: Sendable {
    let name: String
    let server: String
    let outcome: Outcome
    let duration: Duration
    /// What was turned off; `nil` in an ordinary run.
    let control: Control?

    /// Whether the result is as expected. A control run must fail, and for the reason that `sign` names.
    var isRight: Bool {
        guard let control else { return outcome.faults.isEmpty }
        return outcome.problems.contains { $0.contains(control.sign) }
    }

    var result: String {
        if control == nil { return isRight ? "ok" : "FAILED" }
        return isRight ? "fails, as it must" : "NOT NOTICED"
    }

    /// The text that is printed as soon as the case has ended.
    var line: String {
        let details = outcome.notes + outcome.faults.prefix(40).map { "! \($0)" }
        return (["\(name): \(result) after \(duration.seconds) s"] + details.map { "   \($0)" })
            .joined(separator: "\n")
    }

    var cells: [String] {
        [
            name, server, "\(outcome.tried)", "\(outcome.fired)/\(outcome.planned)", "\(outcome.lost)",
            "\(outcome.duplicated)", outcome.slowestRecovery.map { "\($0.seconds) s" } ?? "–",
            "\(duration.seconds) s", result,
        ]
    }
}

/// The table of all results.
struct Table {
    let text: String

    private static let heading = [
        "case", "server", "tried", "faults", "lost", "duplicated", "slowest recovery", "took", "result",
    ]
    private static let textColumns: Set<Int> = [0, 1, 8]

    init(_ rows: [Row], isControl: Bool) {
        let cells = [Self.heading] + rows.map(\.cells)
        let widths = Self.heading.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
        let lines = cells.map { row in
            row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return Self.textColumns.contains(column) ? cell + space : space + cell
            }.joined(separator: "  ")
        }
        let off = rows.compactMap { row in row.control.map { "  \(row.name): \($0.off)" } }
        let explanation = isControl ? ["", "Turned off, so that each case must fail:"] + off : []
        text = "\n" + (lines + explanation).joined(separator: "\n")
    }
}

extension Duration {
    /// With two decimals.
    var seconds: String {
        let hundredths = Int((self / .milliseconds(10)).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
