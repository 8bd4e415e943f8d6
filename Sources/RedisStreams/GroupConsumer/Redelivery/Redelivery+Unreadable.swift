internal import NIOCore

// Entries whose bodies cannot be fetched: they are larger than `RESPLimits` allow, or than the server sends at a time.
// The consumer dead-letters or retries such an entry by its id, without its body.
extension Redelivery {
    /// An entry could not be read, although it was alone in its reply.
    ///
    /// - Parameter isCertain: Whether the client refused the entry, rather than lost the connection.
    func couldNotRead(_ id: StreamID, because reason: String, isCertain: Bool) {
        defer { admitQuarantined() }
        consumer.observer.report(.unreadable(id: id, stream: consumer.stream, reason: reason))
        queue.markUnreadable(id)
        pending.change { $0.endSlot(of: id) }
        // With acknowledgement `onDelivery` and no stream for dead letters, the entry stays pending until this consumer
        // ends: it was not delivered, so that it must not be acknowledged.
        guard configuration.acknowledgement.keepsPending || configuration.deadLetter != nil else { return }
        guard let connection = route.readyShared() else {
            route.prepareShared()
            // The claim scan finds it again; without a claim scan, this consumer reclaims it later.
            if configuration.acknowledgement.keepsPending { return pending.change { $0.abandonReclaiming([id]) } }
            return postpone(id, for: .seconds(1))
        }
        let command = consumer.pendingEntry(id)
        let epoch = pending.read({ $0.epoch })
        connection.enqueue(command) { outcome in
            self.later { redelivery in
                guard epoch == redelivery.pending.read({ $0.epoch }) else { return }
                guard let found = try? command.result(of: outcome).get() else {
                    return redelivery.pending.change { $0.abandonReclaiming([id]) }
                }
                guard let entry = found.first, entry.id == id else {
                    return redelivery.pending.change { $0.endReclaiming([id]) }
                }
                redelivery.settleUnreadable(entry, because: reason, isCertain: isCertain)
            }
        }
    }

    /// Dead-letters the entry without its body, or counts the refusal as a failed attempt.
    private func settleUnreadable(_ entry: PendingEntry, because reason: String, isCertain: Bool) {
        let failed = DeliveryCount(entry.deliveryCount).failed
        consumer.observer.failed(entry.id)
        if let deadLetter = configuration.deadLetter, isCertain || failed.failures >= deadLetter.maxAttempts {
            let publication = deadLetter.publication(
                ofUnreadable: entry.id,
                in: consumer.stream,
                group: consumer.group,
                reason: DeadLetterReason(attempts: failed.failures, error: "unreadable", text: reason)
            )
            pending.settle(.publish(publication))
            // With acknowledgement `onDelivery`, there is no other settlement to send it with.
            return pending.wakeSlowPath()
        }
        let delay = configuration.retry.delay(failures: failed.failures, jitter: consumer.client.randomness())
        consumer.observer.report(.retrying(id: entry.id, failures: failed.failures, after: delay), because: reason)
        pending.settle(
            .requeue([Requeue(id: entry.id, count: failed, due: eventLoop.now + TimeAmount(delay))])
        )
    }
}
