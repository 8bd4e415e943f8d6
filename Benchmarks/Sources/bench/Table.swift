import Foundation

/// The results as people read them.
struct Table {
    let text: String

    private static let heading = [
        "workload", "C", "Swift", "ratio: min", "median", "max", "at least", "client CPU: C", "Swift", "server CPU: C",
        "Swift",
    ]

    init(_ results: [WorkloadResult]) {
        let rows = [Self.heading] + results.map(Self.row)
        let widths = Self.heading.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + space : space + cell
            }.joined(separator: "  ")
        }
        text =
            """

            \(lines.joined(separator: "\n"))

            Rates: messages per second. Client CPU: nanoseconds per message. Server CPU: share of one core. Medians of \
            \(results.first?.swift.count ?? 0) rounds;
            a ratio is that of one round. In each, every message was seen exactly once, and acknowledged where there is \
            a group.
            """
    }

    private static func row(_ result: WorkloadResult) -> [String] {
        let ratio = result.ratio
        return [
            result.workload.name,
            number(result.baseline, \.rate), number(result.swift, \.rate),
            String(format: "%.2f", ratio.min), String(format: "%.2f", ratio.median), String(format: "%.2f", ratio.max),
            floor(result),
            number(result.baseline, \.clientCPU), number(result.swift, \.clientCPU),
            percent(result.baseline), percent(result.swift),
        ]
    }

    private static func floor(_ result: WorkloadResult) -> String {
        guard let floor = result.workload.floor else { return "–" }
        return (result.reachesFloor ? "" : "MISSED ") + String(format: "%.2f", floor)
    }

    private static func number(_ samples: [Sample], _ figure: (Sample) -> Double) -> String {
        let digits = Array("\(Int(WorkloadResult.median(samples, figure).rounded()))")
        return digits.enumerated().reduce(into: "") { text, digit in
            if digit.offset > 0, (digits.count - digit.offset).isMultiple(of: 3) { text += "," }
            text.append(digit.element)
        }
    }

    private static func percent(_ samples: [Sample]) -> String {
        String(format: "%.0f %%", WorkloadResult.median(samples, \.serverCPUShare) * 100)
    }
}
