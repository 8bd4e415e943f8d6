import Dispatch

/// Something a handler did to a message.
package struct Effect: Sendable, Hashable {
    /// What it did.
    package enum Kind: String, Sendable {
        /// It began to handle the message.
        case begun = "b"
        /// It has handled the message.
        case done = "d"
        /// It asked after a pause of the process, and the library reported the message as held.
        case kept = "k"
        /// It asked after a pause of the process, and the library reported the lease as lost.
        case lost = "l"
    }

    package var kind: Kind
    /// The number of the message.
    package var number: Int
    /// The time, by ``now``.
    package var time: UInt64

    package init(_ kind: Kind, _ number: Int, at time: UInt64 = Self.now) {
        self.kind = kind
        self.number = number
        self.time = time
    }

    /// Nanoseconds of a clock that never goes back, and is the same for all processes of this machine.
    package static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

    /// The effect as a line of text.
    var line: String { "\(kind.rawValue) \(number) \(time)\n" }

    /// `nil` if the line holds no effect.
    init?(line: Substring) {
        let parts = line.split(separator: " ")
        guard parts.count == 3, let kind = Kind(rawValue: String(parts[0])), let number = Int(parts[1]),
            let time = UInt64(parts[2])
        else { return nil }
        self.init(kind, number, at: time)
    }
}
