/// The table of the results.
struct Table {
    let text: String

    private static let heading = [
        "workload", "unit", "against", "its figure", "Swift", "ratio: min", "median", "max", "needed", "aim",
        "client CPU: C", "Swift", "server CPU: C", "Swift",
    ]
    private static let textColumns = 3

    init(_ figures: [Figure], rounds: Int) {
        text =
            """

            \(Self.lines([Self.heading] + figures.map(Self.row), textColumns: Self.textColumns))

            Medians of \(rounds) rounds; a ratio is that of one round. Client CPU: nanoseconds per message. Server CPU: \
            share of one core.
            'limit': the ratio is the figure divided by its limit; for idle consumers, the worst of memory, threads \
            and CPU time,
            and their client CPU is that of one consumer in the whole measurement.
            In each round every message came exactly once, and was acknowledged if there is a group.\
            \(Self.details(figures))
            """
    }

    static func lines(_ rows: [[String]], textColumns: Int) -> String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return column < textColumns ? cell + space : space + cell
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    private static func row(_ figure: Figure) -> [String] {
        let (ratio, goal) = (figure.ratio, figure.workload.goal)
        return [
            figure.workload.name, figure.workload.unit, figure.workload.against,
            number(figure.baseline), number(figure.value),
            decimal(ratio.min), decimal(ratio.median), decimal(ratio.max),
            (figure.isReached ? "" : "MISSED ") + goal.text, decimal(goal.aim),
            figure.other.map { grouped($0.clientCPU) } ?? "–", figure.swift.map { grouped($0.clientCPU) } ?? "–",
            percent(figure.other), percent(figure.swift),
        ]
    }

    private static func number(_ value: Double) -> String { value < 1000 ? decimal(value) : grouped(value) }

    private static func percent(_ usage: Figure.Usage?) -> String {
        usage.map { "\(Int(($0.serverCPUShare * 100).rounded())) %" } ?? "–"
    }

    private static func details(_ figures: [Figure]) -> String {
        figures.filter { !$0.details.isEmpty }.map { figure in
            let parts = figure.details.sorted { $0.key < $1.key }.map { "\($0.key) \(decimal($0.value))" }
            return "\n\(figure.workload.name): \(parts.joined(separator: ", "))"
        }.joined()
    }
}
