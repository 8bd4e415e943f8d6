/// The events of a run. The fingerprint, which is always computed, shows whether two runs of a seed are the same; the
/// text is kept only if it is to be printed.
///
// SAFETY: there is one thread.
final class Trace: @unchecked Sendable {
    private(set) var lines: [String] = []
    private(set) var fingerprint: UInt64 = 0xCBF2_9CE4_8422_2325
    private let isKept: Bool
    private let clock: () -> VirtualTime

    init(isKept: Bool, clock: @escaping () -> VirtualTime) {
        self.isKept = isKept
        self.clock = clock
    }

    /// Records an event. `details` is evaluated only if the text is kept, and is no part of the fingerprint.
    func record(_ who: StaticString, _ number: Int, _ details: @autoclosure () -> String) {
        mix(UInt64(clock().nanoseconds))
        mix(UInt64(truncatingIfNeeded: number) &* 31 &+ UInt64(who.utf8CodeUnitCount))
        if isKept { keep("\(who)", details()) }
    }

    /// Records an event of a named process.
    func record(_ who: String, _ details: @autoclosure () -> String) {
        mix(UInt64(clock().nanoseconds))
        for byte in who.utf8 { mix(UInt64(byte)) }
        if isKept { keep(who, details()) }
    }

    private func mix(_ value: UInt64) {
        fingerprint = (fingerprint ^ value) &* 0x0100_0000_01B3
    }

    private func keep(_ who: String, _ details: String) {
        let time = "\(clock())"
        let space = String(repeating: " ", count: max(0, 11 - time.count))
        let rest = String(repeating: " ", count: max(0, 10 - who.count))
        lines.append("\(space)\(time) ms  \(who)\(rest) \(details)")
    }
}
