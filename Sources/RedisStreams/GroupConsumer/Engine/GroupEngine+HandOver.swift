internal import Logging
internal import NIOCore

// What happens at the end, so that others can go on at once.
extension GroupEngine {
    /// How long the server may take to end a read, before the connection is closed.
    private static let endPatience = Duration.seconds(1)

    /// Ends a read that waits on the server: it is answered, with nothing or with what has just come, and the connection
    /// stays whole. Returns when there is nothing more to wait for.
    func endRead() async {
        retryTimer?.cancel()
        guard pipeline.isWaiting, endWaiting() else { return }
        await eventLoop.sleep(for: Self.endPatience)
    }

    /// Has the server answer a read that waits. Returns `false` if there is no way to ask for that.
    @discardableResult
    func endWaiting() -> Bool {
        guard let id = connection?.clientID, let shared = pool.readyShared() else { return false }
        noteEndedWaiting()
        shared.begin(CLIENT.UNBLOCK(id: id)) { _ in }
        return true
    }

    /// Ends what a connection that was lost may still wait for on the server. Nothing depends on the right to do that.
    func endGhost(_ ghost: RedisConnection, on connection: RedisConnection) async throws(RedisError) {
        guard configuration.safeguards.contains(.ghostKill), let id = ghost.clientID else { return }
        guard await ghost.isClosed, let greeted = await ghost.greetedAt else { return }
        do throws(RedisError) {
            // A server that was restarted counts from the beginning again: the same id is somebody else's, who is younger.
            let age = try await connection.execute(CLIENT.LIST(id: id))
            let expected = (eventLoop.now - greeted).nanoseconds / 1_000_000_000
            guard let age, age >= expected - 1 else { return }
            _ = try await connection.execute(CLIENT.KILL(id: id))
        } catch {
            if error.code == .connectionClosed { throw error }
        }
    }

    /// Gives back what is pending for this consumer and was not handed out, and removes the consumer if nothing is left.
    func handOver() async {
        guard configuration.acknowledgement.keepsPending, configuration.safeguards.contains(.handOver),
            !mailbox.hasFailed, let last = connection
        else { return }
        do throws(RedisError) {
            try await apart { (connection) throws(RedisError) in
                try await self.endGhost(last, on: connection)
                try await self.handBack(on: connection)
                _ = try await connection.run(self.consumer.call(.leave))
            }
        } catch {
            logger.info(
                "could not return messages at the end: others claim them when their leases are over",
                metadata: [LogKey.reason: "\(error)"]
            )
        }
    }

    /// How many messages are given back at a time.
    private static let maxHandedBack = 200

    private func handBack(on connection: RedisConnection) async throws(RedisError) {
        var last = StreamID.zero
        while true {
            let entries = try await connection.execute(
                consumer.pendingEntries(after: last, count: Self.maxHandedBack)
            )
            try await handBack(entries, on: connection)
            guard entries.count == Self.maxHandedBack, let id = entries.last?.id else { return }
            last = id
        }
    }

    private func handBack(_ entries: [PendingEntry], on connection: RedisConnection) async throws(RedisError) {
        // What somebody may be at work on stays; what waits for its time does so already.
        let kept = session.keptAtEnd.union(retries.ids)
        let waiting = session.waitingIDs
        let asides = entries.filter { !kept.contains($0.id) }.map { entry in
            let count = DeliveryCount(entry.deliveryCount)
            // What was not handed out is as if it had not been delivered. What was looked at only, or not even that, may
            // be marked by somebody's death.
            let isMarked = waiting.contains(entry.id) || !machine.hasSwept
            return SetAside(id: entry.id, count: isMarked ? count : count.returned, due: parked[entry.id]?.due)
        }
        if asides.isEmpty { return }
        _ = try await connection.run(call(for: asides))
        logger.info("returned messages to the group", metadata: [LogKey.count: "\(asides.count)"])
    }
}
