/// The bound that a ratio has to reach, and a better value to aim at.
struct Goal: Sendable {
    /// Whether less is better.
    let isCeiling: Bool
    let bound: Double
    let aim: Double

    static func atLeast(_ bound: Double, aim: Double) -> Goal { Goal(isCeiling: false, bound: bound, aim: aim) }
    static func atMost(_ bound: Double, aim: Double) -> Goal { Goal(isCeiling: true, bound: bound, aim: aim) }

    /// The ratio is only shown.
    static let none = Goal(isCeiling: true, bound: .infinity, aim: .infinity)

    func isReached(by ratio: Double) -> Bool { isCeiling ? ratio <= bound : ratio >= bound }

    /// Whether the ratio is not worse than the bound by more than a factor.
    func isReached(by ratio: Double, within factor: Double) -> Bool {
        isCeiling ? ratio <= bound * factor : ratio >= bound / factor
    }

    var text: String { bound.isInfinite ? "–" : (isCeiling ? "≤ " : "≥ ") + decimal(bound) }
}

/// With two decimals, or three for small values.
func decimal(_ value: Double) -> String {
    let digits = abs(value) < 0.1 ? 3 : 2
    let scale = digits == 3 ? 1000.0 : 100.0
    guard value.isFinite, abs(value) < 1e12 else { return "–" }
    let scaled = Int((value * scale).rounded())
    let rest = "\(abs(scaled) % Int(scale))"
    let zeros = String(repeating: "0", count: digits - rest.count)
    return "\(scaled < 0 ? "-" : "")\(abs(scaled) / Int(scale)).\(zeros)\(rest)"
}

/// A whole number with commas.
func grouped(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "–" }
    let digits = Array("\(Int(value.rounded()))")
    return digits.enumerated().reduce(into: "") { text, digit in
        if digit.offset > 0, (digits.count - digit.offset).isMultiple(of: 3) { text += "," }
        text.append(digit.element)
    }
}
