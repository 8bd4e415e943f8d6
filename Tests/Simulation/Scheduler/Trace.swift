/// What happened in a run: kept as text only if somebody is to read it, and always as a number, by which two runs of one
/// seed are known to be the same.
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

    /// Notes an event; `details` are only asked for if somebody is to read them.
    func note(_ who: StaticString, _ number: Int, _ details: @autoclosure () -> String) {
        mix(UInt64(clock().nanoseconds))
        mix(UInt64(truncatingIfNeeded: number) &* 31 &+ UInt64(who.utf8CodeUnitCount))
        if isKept { keep("\(who)", details()) }
    }

    /// Notes an event of somebody with a name.
    func note(_ who: String, _ details: @autoclosure () -> String) {
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
