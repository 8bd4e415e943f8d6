/// A point in time, or a duration, on the virtual clock of a simulation. Only the scheduler moves the clock.
struct VirtualTime: Comparable, Hashable, CustomStringConvertible {
    var nanoseconds: Int64

    static let zero = VirtualTime(nanoseconds: 0)

    init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    init(milliseconds: Double) {
        nanoseconds = Int64(milliseconds * 1_000_000)
    }

    static func milliseconds(_ value: Int) -> VirtualTime { VirtualTime(nanoseconds: Int64(value) * 1_000_000) }
    static func seconds(_ value: Int) -> VirtualTime { .milliseconds(value * 1000) }

    var milliseconds: Double { Double(nanoseconds) / 1_000_000 }
    var duration: Duration { .nanoseconds(nanoseconds) }

    static func < (a: VirtualTime, b: VirtualTime) -> Bool { a.nanoseconds < b.nanoseconds }
    static func + (a: VirtualTime, b: VirtualTime) -> VirtualTime { .init(nanoseconds: a.nanoseconds + b.nanoseconds) }
    static func - (a: VirtualTime, b: VirtualTime) -> VirtualTime { .init(nanoseconds: a.nanoseconds - b.nanoseconds) }

    /// In milliseconds with three digits, without Foundation.
    var description: String {
        let microseconds = nanoseconds / 1000
        let digits = String(abs(microseconds % 1000))
        return "\(microseconds / 1000).\(String(repeating: "0", count: 3 - digits.count))\(digits)"
    }
}
