import Dispatch

/// Something a handler did to a message.
package struct Effect: Sendable, Hashable {
    /// What it did.
    package enum Kind: String, Sendable {
        /// It began to handle the message.
        case begun = "b"
        /// It has handled the message.
        case done = "d"
        /// Asked behind a pause of the process, the message was said to be still this consumer's.
        case kept = "k"
        /// Asked behind a pause of the process, the message was said to be lost.
        case lost = "l"
    }

    package var kind: Kind
    /// The number of the message.
    package var number: Int
    /// When, by ``now``.
    package var time: UInt64

    package init(_ kind: Kind, _ number: Int, at time: UInt64 = Self.now) {
        self.kind = kind
        self.number = number
        self.time = time
    }

    /// Nanoseconds of a clock that never goes back, and is the same for all processes of this machine.
    package static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

    /// The line that stands for it.
    var line: String { "\(kind.rawValue) \(number) \(time)\n" }

    /// `nil` if no effect is written so.
    init?(line: Substring) {
        let parts = line.split(separator: " ")
        guard parts.count == 3, let kind = Kind(rawValue: String(parts[0])), let number = Int(parts[1]),
            let time = UInt64(parts[2])
        else { return nil }
        self.init(kind, number, at: time)
    }
}
