internal import NIOCore

/// For how long this consumer owns a message.
struct LeasePolicy: Sendable {
    /// After this time without a renewal, other consumers may claim a message; `nil` for never.
    var lease: TimeAmount?
    /// For how long after the lease start this consumer certainly owns a message, so that a plain `XACK` cannot
    /// acknowledge a message of another consumer; `nil` for ever.
    var fencingTime: TimeAmount?
    /// A lease that began by then proves nothing any more: another server is the master, which may not know of it; `nil` if
    /// there was always the same one.
    var revokedAt: NIODeadline?

    /// Until when this consumer certainly owns a message. `leaseStart` is when it sent the command that gave or renewed
    /// the lease; `nil` if that is not known.
    func fencingDeadline(_ leaseStart: NIODeadline?) -> NIODeadline {
        guard let fencingTime else { return .distantFuture }
        if let revokedAt, let leaseStart, leaseStart <= revokedAt { return .uptimeNanoseconds(0) }
        return leaseStart.map { $0 + fencingTime } ?? .uptimeNanoseconds(0)
    }
}
