internal import NIOCore

extension PendingTable {
    /// The states of ids without a message and without an outcome to send.
    enum Entry {
        /// `keepsLease` says that the consumer renews the lease meanwhile. Otherwise it has set the idle time on the
        /// server so that other consumers may claim the message when it is due.
        case scheduled(due: NIODeadline, keepsLease: Bool, reclaim: ReclaimState?)
        case deferred(Requeue)
        case reclaiming(ReclaimState)
        case quarantined(ReclaimState)
        case orphaned(ReclaimState)
        case acknowledged
        case abandoned
        case returned

        var state: EntryState {
            switch self {
            case .scheduled: .scheduled
            case .deferred: .deferred
            case .reclaiming: .reclaiming
            case .quarantined: .quarantined
            case .orphaned: .orphaned
            case .acknowledged: .acknowledged
            case .abandoned: .abandoned
            case .returned: .returned
            }
        }

        /// What is known about the last or next reclaim.
        var reclaim: ReclaimState? {
            switch self {
            case .reclaiming(let reclaim), .quarantined(let reclaim), .orphaned(let reclaim): reclaim
            case .scheduled(_, _, let reclaim): reclaim
            default: nil
            }
        }

        /// Whether the consumer renews the lease, although it does not have the message.
        var keepsLease: Bool {
            switch self {
            case .scheduled(_, let keepsLease, _): keepsLease
            case .deferred, .reclaiming, .quarantined: true
            case .orphaned, .acknowledged, .abandoned, .returned: false
            }
        }
    }

    /// What the server did with messages that were to be requeued.
    struct RequeueOutcome {
        /// Messages that another consumer owns, so that the server did not requeue them.
        var others: Set<StreamID> = []
        /// Messages that are due later than this are *deferred*; `nil` if none is.
        var horizon: NIODeadline?
        /// Whether the consumer is ending, so that it reclaims none of them.
        var isEnding = false
    }
}
