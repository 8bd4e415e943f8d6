/// One end of a range of entry ids.
///
/// Source: [XRANGE](https://redis.io/docs/latest/commands/xrange/).
public enum RangeBound: Sendable, Hashable {
    /// No bound: the range reaches to the end of the stream on this side (`-` or `+`).
    case unbounded
    /// The range ends with this id.
    case including(StreamID)
    /// The range ends before it reaches this id.
    case excluding(StreamID)
    /// The range ends with this millisecond, all of its entries included. Counted from 1970.
    case milliseconds(UInt64)

    /// The two ends of a range as the server reads them.
    ///
    /// Servers refuse to exclude the highest id at the lower end, or the lowest one at the upper end, which is where paging
    /// comes to its end. Such a range is empty: it is sent as one whose ends are the wrong way round, which has no entries
    /// on any server, and is told of a missing group or a wrong type all the same.
    static func onWire(from lower: RangeBound, to upper: RangeBound) -> (lower: String, upper: String) {
        if lower == .excluding(.max) || upper == .excluding(.zero) { return ("\(StreamID.max)", "\(StreamID.zero)") }
        return (lower.text(unbounded: "-"), upper.text(unbounded: "+"))
    }

    private func text(unbounded: String) -> String {
        switch self {
        case .unbounded: unbounded
        case .including(let id): "\(id)"
        case .excluding(let id): "(\(id)"
        case .milliseconds(let time): "\(time)"
        }
    }
}
