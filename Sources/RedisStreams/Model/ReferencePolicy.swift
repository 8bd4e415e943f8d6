/// What becomes of the references that consumer groups hold to an entry when the entry is deleted or trimmed.
///
/// Source: [XDELEX](https://redis.io/docs/latest/commands/xdelex/).
public enum ReferencePolicy: Sendable, Hashable {
    /// `KEEPREF`: the entry goes, and groups that have it pending keep it so, without its fields.
    case keep
    /// `DELREF`: the entry goes, and so do all references to it.
    case delete
    /// `ACKED`: the entry goes only if every group has read and acknowledged it.
    case acknowledged

    func append(to encoder: inout CommandEncoder) {
        switch self {
        case .keep: encoder.append("KEEPREF")
        case .delete: encoder.append("DELREF")
        case .acknowledged: encoder.append("ACKED")
        }
    }
}
