/// What the server does with the references of consumer groups to an entry when it deletes or trims the entry.
///
/// Source: [XDELEX](https://redis.io/docs/latest/commands/xdelex/).
public enum ReferencePolicy: Sendable, Hashable {
    /// `KEEPREF`: the server removes the entry. In groups where it is pending, it stays pending, without its fields.
    case keep
    /// `DELREF`: the server removes the entry and all references to it.
    case delete
    /// `ACKED`: the server removes the entry only if every group has read and acknowledged it.
    case acknowledged

    func append(to encoder: inout CommandEncoder) {
        switch self {
        case .keep: encoder.append("KEEPREF")
        case .delete: encoder.append("DELREF")
        case .acknowledged: encoder.append("ACKED")
        }
    }
}
