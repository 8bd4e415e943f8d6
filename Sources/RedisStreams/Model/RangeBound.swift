/// One end of a range of entry ids.
///
/// Source: [XRANGE](https://redis.io/docs/latest/commands/xrange/).
public enum RangeBound: Sendable, Hashable {
    /// No bound: the range extends to the end of the stream on this side (`-` or `+`).
    case unbounded
    /// The range ends at this id and includes it.
    case including(StreamID)
    /// The range ends at this id and excludes it.
    case excluding(StreamID)
    /// The range ends at this time, in milliseconds since 1970, and includes all entries of that millisecond.
    case milliseconds(UInt64)

    /// The two ends of a range, as the server reads them.
    ///
    /// Paging can end with a range that excludes the highest id at the lower end, or the lowest id at the upper end.
    /// Such a range is empty, but servers refuse it. This sends the range from the highest id to the lowest instead:
    /// every server finds no entries in it, and still reports a missing group or a wrong type.
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
