internal import Logging
internal import NIOCore

/// The last step of a consumer: returns its pending messages that were not handled, so that other consumers need not
/// wait until the leases expire, and removes its name if no message is pending for it.
struct Handover: Sendable {
    /// How many messages one script returns.
    private static let page = 200

    private let consumer: GroupConsumer
    private let dispatcher: Dispatcher
    private let commands: SettlementCommands
    private let deleted: DeletedEntries
    private let endDeadline: EndDeadline

    private var pending: PendingMessages { dispatcher.pending }
    private var configuration: GroupConsumer.Configuration { consumer.configuration }

    init(
        _ consumer: GroupConsumer,
        _ dispatcher: Dispatcher,
        _ commands: SettlementCommands,
        _ deleted: DeletedEntries,
        _ endDeadline: EndDeadline
    ) {
        self.consumer = consumer
        self.dispatcher = dispatcher
        self.commands = commands
        self.deleted = deleted
        self.endDeadline = endDeadline
    }

    /// - Parameters:
    ///   - last: The connection of the last read; `nil` if there was none.
    ///   - hasRecovered: Whether the consumer knows all messages that were pending for it at its start.
    func run(after last: RedisConnection?, hasRecovered: Bool) async {
        let isOn = configuration.safeguards.contains(.handOver) && !dispatcher.buffer.hasFailed
        guard isOn, let last, await !endDeadline.hasPassed else { return }
        do throws(RedisError) {
            try await consumer.route.withOwnConnection(on: pending.eventLoop) { connection throws(RedisError) in
                try await consumer.killStale(last, on: connection, now: pending.eventLoop.now)
                // After the deadline, another consumer may use this name already.
                if await endDeadline.hasPassed { return }
                if configuration.acknowledgement.keepsPending {
                    try await returnMessages(hasRecovered: hasRecovered, on: connection)
                }
                if await endDeadline.hasPassed { return }
                try await deregister(on: connection)
            }
        } catch {
            consumer.observer.log.logger.info(
                "could not return messages to the group: other consumers claim them when their leases have expired",
                metadata: [LogKey.reason: "\(error)"]
            )
        }
    }

    private func returnMessages(hasRecovered: Bool, on connection: RedisConnection) async throws(RedisError) {
        var last = StreamID.zero
        while true {
            let entries = try await connection.execute(consumer.pendingEntries(after: last, count: Self.page))
            let requeues = pending.read { $0.handover(of: entries, hasRecovered: hasRecovered) }
            if !requeues.isEmpty {
                _ = try await connection.run(commands.call(for: requeues))
                consumer.observer.log.logger.info(
                    "returned messages to the group",
                    metadata: [LogKey.count: "\(requeues.count)"]
                )
            }
            guard entries.count == Self.page, let id = entries.last?.id else { return }
            last = id
        }
    }

    /// Transfers the pending messages of this consumer to a name under which no consumer reads, where the claim scans
    /// of all consumers find them, and removes the name of this one. If a handler may still run on a message, or this
    /// consumer claims nothing, the messages stay where they are, and so does the name.
    private func deregister(on connection: RedisConnection) async throws(RedisError) {
        let transfers = configuration.lease != nil && !pending.read({ $0.hasAbandoned || $0.hasQueued || $0.isSending })
        // The idle time up to which another consumer counts as recently active.
        let recent = max(configuration.lease ?? .seconds(30), configuration.block)
        var last: StreamID?
        while true {
            let start = transfers ? last.map { "(\($0)" } ?? "-" : ""
            let arguments: [FieldValue] = [
                .text(ConsumerName.returned), .integer(Int(recent.wholeMilliseconds)), .text(start),
            ]
            let call = consumer.call(.deregister, arguments)
            let reply = try await connection.run(call)
            let parts = Array(try call.elements(reply))
            guard parts.count == 3 else { throw call.unexpected(reply) }
            deleted.report(try call.streamIDs(parts[2]))
            // If a page did not go forward, this loop would never end.
            guard let next = parts[1].streamID, next > last ?? .zero else { return }
            last = next
        }
    }
}
