internal import Logging
internal import NIOCore

// Looks after what handlers do not get done: messages that wait for one for too long, and handlers that run for long.
extension GroupEngine {
    /// For how long a message may wait for a handler: two thirds of its lease are left then.
    private var patience: TimeAmount? {
        guard configuration.safeguards.contains(.giveBack) else { return nil }
        return configuration.lease.map { TimeAmount($0 / 3) }
    }

    /// One timer for all that waits: it is set anew when it fires, for what is the oldest then.
    func armGiveBack() {
        guard giveBackTimer == nil, isRenewing, let patience, let waited = session.longestWait else { return }
        let rest = max(.milliseconds(1), patience - waited)
        giveBackTimer = eventLoop.scheduleTask(in: rest) { self.assumeIsolated { $0.giveBackOverdue() } }
    }

    /// Gives back what has waited for too long, and leaves it to others for a while.
    private func giveBackOverdue() {
        giveBackTimer = nil
        guard !buffer.isStopping, let patience else { return }
        let count = session.giveBack(waitingFor: patience)
        if count > 0 {
            letOthersClaim()
            logger.info("messages waited for a handler and were given back", metadata: [LogKey.count: "\(count)"])
        }
        armGiveBack()
    }

    /// For one claim interval this consumer claims nothing: what it has given back is for others first.
    func letOthersClaim() {
        machine.holdOffClaims(until: eventLoop.now + TimeAmount(configuration.effectiveClaimInterval ?? .zero))
    }

    /// Tells of handlers that run for long. Their leases are renewed all the same.
    func reportOverdueHandlers() {
        for (id, age) in session.overdueHandlers(after: TimeAmount(configuration.effectiveHandlerWarning)) {
            report(.handlerRunsLong(id: id, for: .nanoseconds(age.nanoseconds)))
        }
    }
}
