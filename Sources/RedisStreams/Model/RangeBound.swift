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

    /// Whether an excluded bound is the last id on its own side, which leaves nothing and which servers refuse.
    fileprivate func isBeyond(_ end: StreamID) -> Bool { self == .excluding(end) }

    fileprivate func append(to encoder: inout CommandEncoder, unbounded: String) {
        switch self {
        case .unbounded: encoder.append(unbounded)
        case .including(let id): encoder.append(id)
        case .excluding(let id): encoder.append("(\(id)")
        case .milliseconds(let time): encoder.append("\(time)")
        }
    }

    func appendLower(to encoder: inout CommandEncoder) { append(to: &encoder, unbounded: "-") }

    func appendUpper(to encoder: inout CommandEncoder) { append(to: &encoder, unbounded: "+") }
}

extension RedisCommand {
    func check(lower: RangeBound, upper: RangeBound) throws(RedisError) {
        guard !lower.isBeyond(.max), !upper.isBeyond(.zero) else {
            throw invalid("No entry lies beyond the highest or below the lowest id: the range is empty.")
        }
    }
}
