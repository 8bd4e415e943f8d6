/// Dates in the form of ISO 8601 that RFC 3339 defines, which every language reads and writes.
///
/// Foundation's own style rounds milliseconds down, and accepts `25:00` and trailing text.
/// Source: [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339#section-5.6).
enum Timestamp {
    /// The date in UTC to the millisecond, as JavaScript writes it: `2024-05-01T12:00:00.250Z`; without a fraction if
    /// that is zero. `nil` outside the years 0 to 9999.
    static func text(secondsSince1970 seconds: Double) -> String? {
        guard seconds.isFinite, abs(seconds) < 1e12 else { return nil }
        let total = Int((seconds * 1000).rounded())
        let (day, millisecond) = floorDivide(total, 86_400_000)
        let (year, month, date) = civil(day: day)
        guard (0...9999).contains(year) else { return nil }
        let second = millisecond / 1000
        var text = "\(padded(year, 4))-\(padded(month))-\(padded(date))T"
        text += "\(padded(second / 3600)):\(padded(second / 60 % 60)):\(padded(second % 60))"
        if millisecond % 1000 != 0 { text += ".\(padded(millisecond % 1000, 3))" }
        return text + "Z"
    }

    /// Reads a date with its time and zone; the fraction of the second may have any number of digits.
    static func secondsSince1970(_ text: String) -> Double? {
        var rest = Substring(text).utf8
        guard let year = number(&rest, 4), skip(&rest, "-"), let month = number(&rest, 2), skip(&rest, "-"),
            let date = number(&rest, 2), skip(&rest, "Tt "), let hour = number(&rest, 2), skip(&rest, ":"),
            let minute = number(&rest, 2), skip(&rest, ":"), let second = number(&rest, 2)
        else { return nil }
        guard (1...12).contains(month), hour < 24, minute < 60, second <= 60 else { return nil }
        let day = self.day(year: year, month: month, date: date)
        guard date > 0, civil(day: day) == (year, month, date) else { return nil }
        var milliseconds = 0.0
        if skip(&rest, ".,") {
            guard let fraction = fraction(&rest) else { return nil }
            milliseconds = fraction
        }
        guard let offset = zone(&rest), rest.isEmpty else { return nil }
        // The sum is in milliseconds, which are usually whole numbers, so that only one rounding remains.
        let seconds = day * 86400 + hour * 3600 + minute * 60 + second - offset
        return (Double(seconds) * 1000 + milliseconds) / 1000
    }

    static func rangeContext(codingPath: [any CodingKey]) -> EncodingError.Context {
        EncodingError.Context(codingPath: codingPath, debugDescription: "A date outside the years 0 to 9999.")
    }

    // MARK: Parts

    private static func padded(_ number: Int, _ width: Int = 2) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    private static func skip(_ rest: inout Substring.UTF8View, _ any: StaticString) -> Bool {
        guard let byte = rest.first, any.withUTF8Buffer({ unsafe $0.contains(byte) }) else { return false }
        rest = rest.dropFirst()
        return true
    }

    private static func number(_ rest: inout Substring.UTF8View, _ width: Int) -> Int? {
        var value = 0
        for _ in 0..<width {
            guard let byte = rest.popFirst(), case let digit = byte &- UInt8(ascii: "0"), digit <= 9 else { return nil }
            value = value * 10 + Int(digit)
        }
        return value
    }

    /// The digits after the decimal point, in milliseconds.
    private static func fraction(_ rest: inout Substring.UTF8View) -> Double? {
        var value = 0.0
        var scale = 1.0
        var count = 0
        while let byte = rest.first, case let digit = byte &- UInt8(ascii: "0"), digit <= 9 {
            rest = rest.dropFirst()
            count += 1
            // Digits beyond the precision of a Double are dropped.
            if count <= 15 {
                value = value * 10 + Double(digit)
                scale *= 10
            }
        }
        return count > 0 ? value * 1000 / scale : nil
    }

    /// The offset from UTC in seconds: `Z`, `+02:00` or `+0200`.
    private static func zone(_ rest: inout Substring.UTF8View) -> Int? {
        if skip(&rest, "Zz") { return 0 }
        let isWest = rest.first == UInt8(ascii: "-")
        guard skip(&rest, "+-"), let hours = number(&rest, 2) else { return nil }
        _ = skip(&rest, ":")
        guard let minutes = number(&rest, 2), hours < 24, minutes < 60 else { return nil }
        let offset = hours * 3600 + minutes * 60
        return isWest ? -offset : offset
    }

    // MARK: Calendar

    private static func floorDivide(_ dividend: Int, _ divisor: Int) -> (quotient: Int, remainder: Int) {
        let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    /// The days from 1970-01-01 to a date of the Gregorian calendar.
    ///
    /// Counts years from March, so that the leap day is the last of its year, in cycles of 400 years (146,097 days).
    private static func day(year: Int, month: Int, date: Int) -> Int {
        let marchYear = month <= 2 ? year - 1 : year
        let (cycle, yearOfCycle) = floorDivide(marchYear, 400)
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + date - 1
        return cycle * 146_097 + yearOfCycle * 365 + yearOfCycle / 4 - yearOfCycle / 100 + dayOfYear - 719_468
    }

    /// The date of the Gregorian calendar, `day` days after 1970-01-01.
    private static func civil(day: Int) -> (year: Int, month: Int, date: Int) {
        let (cycle, dayOfCycle) = floorDivide(day + 719_468, 146_097)
        let yearOfCycle = (dayOfCycle - dayOfCycle / 1460 + dayOfCycle / 36_524 - dayOfCycle / 146_096) / 365
        let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = cycle * 400 + yearOfCycle + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }
}
