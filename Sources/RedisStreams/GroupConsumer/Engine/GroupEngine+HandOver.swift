internal import Logging
internal import NIOCore

// What happens at the end, so that others can go on at once.
extension GroupEngine {
    /// How long the server may take to end a read, before the connection is closed.
    private static let endPatience = Duration.seconds(1)

    /// Ends a read that waits on the server: it is answered, with nothing or with what has just come, and the connection
    /// stays whole. Returns when there is nothing more to wait for.
    func endRead() async {
        session.stopWaitingForNothing()
        retryTimer?.cancel()
        guard pipeline.isWaiting, endWaiting() else { return }
        await eventLoop.sleep(for: Self.endPatience)
    }

    /// Has the server answer a read that waits. Returns `false` if there is no way to ask for that.
    @discardableResult
    func endWaiting() -> Bool {
        guard let id = connection?.clientID, let shared = pool.readyShared() else { return false }
        shared.begin(CLIENT.UNBLOCK(id: id)) { _ in }
        return true
    }

    /// Ends what a connection that was lost may still wait for on the server. Nothing depends on the right to do that.
    func endGhost(_ ghost: RedisConnection, on connection: RedisConnection) async throws(RedisError) {
        guard configuration.safeguards.contains(.ghostKill), let id = ghost.clientID else { return }
        guard await ghost.isClosed else { return }
        do throws(RedisError) {
            _ = try await connection.execute(CLIENT.KILL(id: id))
        } catch {
            if error.code == .connectionClosed { throw error }
        }
    }

    /// Gives back what is pending for this consumer and was not handed out, and removes the consumer if nothing is left.
    func handOver() async {
        guard configuration.acknowledgement.keepsPending, configuration.safeguards.contains(.handOver),
            machine.hasSwept, !mailbox.hasFailed
        else { return }
        do throws(RedisError) {
            try await apart { (connection) throws(RedisError) in
                if let last = await self.connection { try await self.endGhost(last, on: connection) }
                try await self.handBack(on: connection)
                let call = ScriptCall(
                    .leave,
                    keys: [self.consumer.stream],
                    arguments: [.text(self.consumer.group), .text(self.consumer.name)]
                )
                _ = try await connection.run(call)
            }
        } catch {
            logger.info("could not hand over", metadata: [LogKey.reason: "\(error.code)"])
        }
    }

    /// How many messages are given back at a time.
    private static let maxHandedBack = 200

    private func handBack(on connection: RedisConnection) async throws(RedisError) {
        var last = StreamID.zero
        while true {
            let entries = try await connection.execute(
                XPENDING.Entries(
                    consumer.stream,
                    group: consumer.group,
                    from: last == .zero ? .unbounded : .excluding(last),
                    count: Self.maxHandedBack,
                    consumer: consumer.name
                )
            )
            try await handBack(entries, on: connection)
            guard entries.count == Self.maxHandedBack, let id = entries.last?.id else { return }
            last = id
        }
    }

    private func handBack(_ entries: [PendingEntry], on connection: RedisConnection) async throws(RedisError) {
        // What somebody may be at work on stays; what waits for its time does so already.
        let kept = session.keptAtEnd.union(retries.ids)
        let waiting = Set(session.waitingIDs)
        var arguments: [FieldValue] = [.text(consumer.group), .text(consumer.name)]
        for entry in entries where !kept.contains(entry.id) {
            let count = DeliveryCount(entry.deliveryCount)
            let isParked = parked[entry.id] != nil
            let idle = isParked ? Duration.zero : configuration.lease ?? .zero
            arguments += [
                .text("\(entry.id)"), .integer(Int(idle.wholeMilliseconds)),
                .integer((waiting.contains(entry.id) ? count : count.returned).rawValue),
            ]
        }
        if arguments.count == 2 { return }
        _ = try await connection.run(ScriptCall(.setAside, keys: [consumer.stream], arguments: arguments))
    }
}
