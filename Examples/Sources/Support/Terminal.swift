import Foundation

/// Prints a line at once, also into a pipe.
package func say(_ line: String = "") {
    print(line)
    fflush(nil)
}

/// Prints a line every second while `body` runs, unless there is nothing to print.
package func withProgress<Result: Sendable>(
    _ line: @escaping @Sendable () async -> String?,
    while body: () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask {
            let start = ContinuousClock.now
            for second in 1... {
                try await Task.sleep(until: start + .seconds(second), clock: .continuous)
                if let line = await line() { say("\(padded(String(second), to: 5)) s   \(line)") }
            }
        }
        defer { tasks.cancelAll() }
        return try await body()
    }
}

/// Prints a table: in each row a name, a number and a remark.
package func sayTable(_ rows: [(name: String, value: String, remark: String)]) {
    let nameWidth = rows.map(\.name.count).max() ?? 0
    let valueWidth = rows.map(\.value.count).max() ?? 0
    say()
    for row in rows {
        let name = row.name + String(repeating: " ", count: nameWidth - row.name.count)
        let line = "  \(name)   \(padded(row.value, to: valueWidth))"
        say(row.remark.isEmpty ? line : line + "   " + row.remark)
    }
    say()
}

private func padded(_ text: String, to width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}

extension Int {
    /// The number with commas: `30,000`.
    package var grouped: String {
        let digits = String(magnitude)
        var text = ""
        for (position, digit) in digits.enumerated() {
            if position > 0, (digits.count - position) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return self < 0 ? "-" + text : text
    }

    /// The number with what it counts: `1 message`, `30,000 messages`.
    package func of(_ noun: String) -> String { "\(grouped) \(noun)\(self == 1 ? "" : "s")" }
}

extension Duration {
    /// Seconds with one decimal: `2.3 s`.
    package var rounded: String { "\((inSeconds * 10).rounded() / 10) s" }

    /// Seconds as a number.
    package var inSeconds: Double { self / .seconds(1) }
}
