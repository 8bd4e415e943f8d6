internal import Logging
internal import NIOCore

// Removes what processes that died have left of themselves: generated names for which nothing is pending.
extension GroupEngine {
    /// How long a name has to be idle at least, and how often each group is searched for such.
    private static let namePeriod = Duration.seconds(3600)

    /// The names of those from whom a claim scan has taken the last messages are removed when it is at its end.
    func claimScan(brought count: Int, isComplete: Bool) {
        if count > 0 { hasClaimed = true }
        guard isComplete, hasClaimed else { return }
        hasClaimed = false
        removeNames(idleFor: configuration.lease ?? Self.namePeriod)
    }

    /// Searches for idle names once in an hour for each group: how often each consumer does it depends on how many
    /// were seen within that time. The first time is within the hour, so that consumers that live shortly take part.
    func removeNamesLater(among count: Int = 1, chance: Double) {
        guard configuration.safeguards.contains(.nameRemoval), !buffer.isStopping else { return }
        namesTimer?.cancel()
        let time = TimeAmount(Self.namePeriod * Double(max(1, min(count, 10_000))) * chance)
        namesTimer = eventLoop.scheduleTask(in: time) { self.assumeIsolated { $0.removeIdleNames() } }
    }

    func endRemovingNames() {
        namesTimer?.cancel()
        namesTimer = nil
    }

    private func removeIdleNames() {
        namesTimer = nil
        removeNamesLater(chance: 0.5 + pool.randomness())
        removeNames(idleFor: max(Self.namePeriod, (configuration.lease ?? .zero) * 10)) { engine, count in
            engine.removeNamesLater(among: count, chance: 0.5 + engine.pool.randomness())
        }
    }

    /// Nothing depends on it: what fails is done by another consumer, or the next time.
    private func removeNames(
        idleFor time: Duration,
        then handle: @escaping @Sendable (isolated GroupEngine, Int) -> Void = { _, _ in }
    ) {
        guard configuration.safeguards.contains(.nameRemoval), !buffer.isStopping else { return }
        guard let connection = pool.readyShared() else { return pool.prepareShared() }
        let call = ScriptCall.removingNames(
            of: consumer.group,
            in: consumer.stream,
            idleFor: time,
            prefix: ConsumerName.prefix,
            own: consumer.name
        )
        connection.begin(call) { result in
            do throws(RedisError) {
                let (names, count) = try call.removedNames(result.get())
                self.eventLoop.execute { self.assumeIsolated { handle($0, count) } }
                if names.isEmpty { return }
                self.report(.consumersRemoved(names: names))
            } catch {
                self.logger.info("could not remove names of consumers", metadata: [LogKey.reason: "\(error.code)"])
            }
        }
    }
}

extension ScriptCall {
    fileprivate static func removingNames(
        of group: String,
        in stream: StreamKey,
        idleFor time: Duration,
        prefix: String = "",
        own: String = "",
        among names: [String] = []
    ) -> ScriptCall {
        let idle = FieldValue.integer(Int(time.wholeMilliseconds))
        // Only consumers know that the returned messages are taken.
        let always = own.isEmpty ? "" : ConsumerName.returned
        return ScriptCall(
            .removeNames,
            keys: [stream],
            arguments: [.text(group), .text(own), idle, .text(prefix), .text(always)] + names.map { .text($0) }
        )
    }

    /// The names that were removed, and how many consumers were seen within the time.
    fileprivate func removedNames(_ reply: RedisReply) throws(RedisError) -> ([String], Int) {
        let parts = Array(try elements(reply))
        guard parts.count == 2 else { throw unexpected(reply) }
        var names: [String] = []
        for element in try elements(parts[0]) { names.append(try string(element)) }
        return (names, try integer(parts[1]))
    }
}

extension RedisCommandExecutor {
    /// Removes consumers of a group for which nothing is pending and that have been idle for a time.
    ///
    /// A consumer that ends cleanly removes itself, and names that this library has generated are removed by the other
    /// consumers of the group. This is for chosen names that do not come back, such as those of pods. One that holds
    /// messages is never removed: its messages are claimed by the others first. The name that was seen last stays, since it
    /// shows since when the group has been alone (``GroupTrim/abandonedAfter``).
    ///
    /// To remove a consumer that is alive does no harm: it is there again with its next message. Before Redis 7.2, one that
    /// waits for messages is idle since its last one.
    ///
    /// - Parameters:
    ///   - stream: The stream.
    ///   - group: The group.
    ///   - idleTime: How long a consumer has to be idle.
    ///   - names: Which consumers to remove; `nil` for all.
    /// - Returns: The names that were removed.
    /// - Throws: ``RedisError``, with ``RedisError/Code/noGroup`` if there is no such group.
    ///
    /// Source: [XGROUP DELCONSUMER](https://redis.io/docs/latest/commands/xgroup-delconsumer/).
    @discardableResult
    public func removeIdleConsumers(
        _ stream: StreamKey,
        group: String,
        idleFor idleTime: Duration,
        names: [String]? = nil
    ) async throws(RedisError) -> [String] {
        guard idleTime >= .zero else {
            throw RedisError(.invalidArgument, "The time for which consumers are idle must not be negative.")
        }
        if names?.isEmpty == true { return [] }
        let call = ScriptCall.removingNames(of: group, in: stream, idleFor: idleTime, among: names ?? [])
        var removed: [String] = []
        while true {
            let (page, _) = try call.removedNames(try await run(call))
            removed += page
            // There may be more than one step takes.
            guard page.count == 1000, removed.count < 100_000_000 else { return removed }
        }
    }
}
