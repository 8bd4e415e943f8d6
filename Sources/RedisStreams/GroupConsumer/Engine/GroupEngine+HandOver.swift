internal import Logging
internal import NIOCore

// What happens at the end, so that others can go on at once.
extension GroupEngine {
    /// How long the server may take to end a read, before the connection is closed.
    private static let endTimeout = Duration.seconds(1)

    // MARK: How long the end may take

    /// How long settlements and the hand-over may take behind the deadline of the handlers. Less than the two seconds
    /// that are promised.
    private static let settlingTime = Duration.milliseconds(1500)

    /// The end begins: nothing more is handed out. Handlers have their time, and what is settled then a little more. Where a
    /// handler ignores that it was cancelled, its outcome has that little more from then on.
    func armEndDeadline() {
        if endTimer == nil, !isGivenUp { armEndDeadline(in: configuration.shutdownDeadline + Self.settlingTime) }
    }

    private func armEndDeadline(in time: Duration) {
        endTimer = eventLoop.scheduleTask(in: TimeAmount(time)) { self.assumeIsolated { $0.endIsOverdue() } }
    }

    func disarmEndDeadline() {
        endTimer?.cancel()
        isGivenUp = true
    }

    private func endIsOverdue() {
        if awaitsHandlers, !session.isDone { return armEndDeadline(in: Self.settlingTime) }
        isGivenUp = true
        logger.warning("the server was not to be reached in time, so that the consumer ends without it")
        hasEnded.fire()
    }

    /// Tells what the server did not get.
    func reportUnsettled() {
        let ids = session.unsettledIDs
        if ids.isEmpty { return }
        report(.unsettled(ids: ids))
    }

    // MARK: Reads that wait

    /// Ends a read that waits on the server: it is answered, with nothing or with what has just come, and the connection
    /// stays whole. Returns when there is nothing more to wait for.
    func endRead() async {
        retryTimer?.cancel()
        stopWaitingForReclaimed()
        guard readsInFlight.isWaiting, endWaiting() else { return }
        await eventLoop.sleep(for: Self.endTimeout)
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
    func killStaleConnection(_ staleConnection: RedisConnection, on connection: RedisConnection) async throws(RedisError) {
        guard configuration.safeguards.contains(.staleConnectionKill), let id = staleConnection.clientID else { return }
        guard let expected = await StaleConnection(staleConnection) else { return }
        do throws(RedisError) {
            guard let found = try await connection.execute(CLIENT.LIST(id: id)) else { return }
            guard expected.isProbably(found, now: eventLoop.now) else { return }
            _ = try await connection.execute(CLIENT.KILL(id: id))
        } catch {
            if error.code == .connectionClosed { throw error }
        }
    }

    /// Gives back what is pending for this consumer and was not handed out, and removes the consumer if nothing is left.
    func handOver() async {
        guard configuration.safeguards.contains(.handOver), !buffer.hasFailed, !isGivenUp, let last = connection else {
            return
        }
        do throws(RedisError) {
            try await apart { (connection) throws(RedisError) in
                try await self.killStaleConnection(last, on: connection)
                // Another consumer may have this name by now.
                if await self.isGivenUp { return }
                if self.configuration.acknowledgement.keepsPending { try await self.handBack(on: connection) }
                if await self.isGivenUp { return }
                try await self.leave(on: connection)
            }
        } catch {
            logger.info(
                "could not return messages at the end: others claim them when their leases are over",
                metadata: [LogKey.reason: "\(error)"]
            )
        }
    }

    /// Transfers what is pending for this consumer to a name under which nobody reads, where every other finds it, and
    /// removes the name of this one. Everything stays where it is, and the name with it, if somebody may be at work on a
    /// message, or nobody claims.
    private func leave(on connection: RedisConnection) async throws(RedisError) {
        let transfers = configuration.lease != nil && session.keptAtEnd.isEmpty
        let patience = max(configuration.lease ?? .seconds(30), configuration.block)
        var last: StreamID?
        while true {
            let start = transfers ? last.map { "(\($0)" } ?? "-" : ""
            let arguments: [FieldValue] = [
                .text(ConsumerName.returned), .integer(Int(patience.wholeMilliseconds)), .text(start),
            ]
            let call = consumer.call(.deregister, arguments)
            let reply = try await connection.run(call)
            let parts = Array(try call.elements(reply))
            guard parts.count == 3 else { throw call.unexpected(reply) }
            reportDeleted(try call.streamIDs(parts[2]))
            // A page that does not go on would have no end.
            guard let next = parts[1].streamID, next > last ?? .zero else { return }
            last = next
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
        let kept = session.keptAtEnd.union(session.returnedAtEnd).union(retries.ids)
        let waiting = session.waitingIDs
        let requeues = entries.filter { !kept.contains($0.id) }.map { entry in
            let count = DeliveryCount(entry.deliveryCount)
            // What was not handed out is as if it had not been delivered. What was looked at only, or not even that, may
            // be marked by somebody's death.
            let isMarked = waiting.contains(entry.id) || !machine.hasRecovered
            return Requeue(id: entry.id, count: isMarked ? count : count.returned, due: parked[entry.id]?.due)
        }
        if requeues.isEmpty { return }
        _ = try await connection.run(call(for: requeues))
        logger.info("returned messages to the group", metadata: [LogKey.count: "\(requeues.count)"])
    }
}

/// A connection that was lost at this side, and may still be there for the server.
///
/// Another server, or the same one after a restart, gives the same id to a stranger. So everything that is known has to
/// fit; not to kill is always right, since what a stale connection is given is claimed by others. That the server is the
/// one that gave the id follows from the address, which only that connection had at that age. (Once a router knows its
/// servers, it owns this question.)
struct StaleConnection: Sendable {
    private let address: String
    private let name: String
    private let begun: NIODeadline
    private let opened: NIODeadline

    /// `nil` if the connection is not lost, never was whole, or has no address: through a Unix socket the server learns at
    /// once that it is closed.
    init?(_ connection: RedisConnection) async {
        guard await connection.isClosed, let opened = await connection.openedAt,
            let address = await connection.localAddress
        else { return nil }
        self.init(
            address: address,
            name: connection.configuration.clientName,
            begun: connection.begunAt,
            opened: opened
        )
    }

    init(address: String, name: String?, begun: NIODeadline, opened: NIODeadline) {
        self.address = address
        self.name = name ?? ""
        self.begun = begun
        self.opened = opened
    }

    /// Whether this is the connection, and waits in a read.
    ///
    /// Of the address only the host counts: a proxy on the way has a port of its own. Where hosts are translated too, the
    /// answer is no.
    func isProbably(_ found: CLIENT.LIST.Connection, now: NIODeadline) -> Bool {
        // The server has let it in between these two moments, and counts in whole seconds.
        let ages = Self.seconds(now - opened) - 1...Self.seconds(now - begun) + 1
        return ages.contains(found.age) && Self.host(found.address) == Self.host(address) && found.name == name
            && found.command == "xreadgroup"
    }

    /// The address without its port.
    private static func host(_ address: String) -> Substring {
        address.lastIndex(of: ":").map { address[..<$0] } ?? address[...]
    }

    private static func seconds(_ time: TimeAmount) -> Int { Int(time.nanoseconds / 1_000_000_000) }
}
