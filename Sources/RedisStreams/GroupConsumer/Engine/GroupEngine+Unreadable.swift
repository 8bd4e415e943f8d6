internal import NIOCore

// Entries whose bodies cannot be brought here: larger than `RESPLimits` allow, or than what the server sends at a time.
// Only such an entry is given up or tried again, by its id; its body never travels.
extension GroupEngine {
    /// The most ids that are remembered as unreadable, so that they are asked for alone the next time.
    private static let maxUnreadable = 1000

    /// An entry could not be read, alone on its connection.
    ///
    /// - Parameter isCertain: Whether it was the entry that was refused, and not only its connection that was lost.
    func couldNotRead(_ id: StreamID, because reason: String, isCertain: Bool) {
        report(.unreadable(id: id, stream: consumer.stream, reason: reason))
        if unreadableIDs.count < Self.maxUnreadable { unreadableIDs.insert(id) }
        // Where messages are acknowledged before they are handled, this one waits for the end of this consumer: nothing
        // was handed out, so that nothing may be acknowledged.
        guard configuration.acknowledgement.keepsPending || configuration.deadLetter != nil else { return }
        guard let connection = pool.readyShared() else {
            pool.prepareShared()
            // A claim finds it again; where nothing is claimed, this consumer asks for it once more.
            if configuration.acknowledgement.keepsPending { return session.stopWaiting(for: [id]) }
            return tryAgain(id, in: .seconds(1))
        }
        let command = consumer.pendingEntry(id)
        let epoch = epoch
        connection.begin(command) { outcome in
            self.eventLoop.execute {
                self.assumeIsolated { engine in
                    guard epoch == engine.epoch else { return }
                    engine.session.stopWaiting(for: [id])
                    guard let entry = try? command.result(of: outcome).get().first, entry.id == id else { return }
                    engine.settleUnreadable(entry, because: reason, isCertain: isCertain)
                }
            }
        }
    }

    /// Dead-letters the entry without its body, or counts the refusal as a failed attempt.
    private func settleUnreadable(_ entry: PendingEntry, because reason: String, isCertain: Bool) {
        let failed = DeliveryCount(entry.deliveryCount).failed
        session.observer.count { $0.failures += 1 }
        if let deadLetter = configuration.deadLetter, isCertain || failed.failures >= deadLetter.maxAttempts {
            let deadLetterReason = DeadLetterReason(attempts: failed.failures, error: "unreadable", reason: reason)
            let publication = deadLetter.publication(
                ofUnreadable: entry.id,
                in: consumer.stream,
                group: consumer.group,
                deadLetterReason: deadLetterReason
            )
            session.add(.publish(publication))
            // Nothing else is settled where messages are acknowledged before they are handled.
            return session.raiseAlarm()
        }
        let delay = configuration.retry.delay(failures: failed.failures, jitter: pool.randomness())
        report(.retrying(id: entry.id, failures: failed.failures, after: delay), because: reason)
        session.add(.requeue([Requeue(id: entry.id, count: failed, due: eventLoop.now + TimeAmount(delay))]))
    }

    /// A read with `NOACK` brought one entry, which could not be read and is pending for nobody. The group tells its id.
    func reportUnreadableUnacknowledged(on connection: RedisConnection) async {
        guard let reason = unreadableWithoutID else { return }
        unreadableWithoutID = nil
        let call = consumer.call(.snapshot)
        guard let reply = try? await connection.run(call), let sight = try? GroupSnapshot(reply, to: call) else { return }
        // With `NOACK` it is lost: the group does not keep track of it.
        report(.unreadable(id: sight.lastDelivered, stream: consumer.stream, reason: reason))
    }
}
