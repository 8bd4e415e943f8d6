internal import NIOCore

/// The reply of the server to a settlement.
enum SettlementReply: Sendable {
    /// The number of messages that the server has acknowledged.
    case acknowledged(Int)
    /// The server has requeued the messages, except for these, which another consumer owns.
    case requeued(except: [StreamID])
    /// The ids of the entries that the server has added; `nil` if this consumer did not own the message.
    case published([StreamID]?)
}

/// The commands that send a settlement to the server: a plain `XACK` before its fencing deadline, else a script that
/// checks the owner.
struct SettlementCommands: Sendable {
    /// The most ids of one `XACK`.
    static let maxAcknowledged = 1000

    private let consumer: GroupConsumer
    private let pending: PendingMessages

    init(_ consumer: GroupConsumer, _ pending: PendingMessages) {
        self.consumer = consumer
        self.pending = pending
    }

    /// Sends a settlement on a connection that does not block. `handle` is called on the event loop of that connection.
    func send(
        _ sent: SentSettlement,
        on connection: RedisConnection,
        then handle: @escaping @Sendable (Result<SettlementReply, RedisError>) -> Void
    ) {
        // The deadline may have passed while this consumer waited for the connection.
        if case .acknowledge(let ids, isCertain: true) = sent.settlement, sent.fencingDeadline > pending.leaseTime {
            let command = consumer.xack(ids)
            return connection.enqueue(command, notAfter: sent.fencingDeadline) {
                handle(command.result(of: $0).map { .acknowledged($0) })
            }
        }
        let call = call(for: sent.settlement)
        connection.enqueueScript(call) { result in
            handle(result.flatMap { reply in Self.decode(reply, to: sent.settlement, call) })
        }
    }

    private func call(for settlement: Settlement) -> ScriptCall {
        switch settlement {
        case .acknowledge(let ids, _): consumer.call(.acknowledge, ids: ids)
        case .requeue(let requeues): call(for: requeues)
        case .publish(let publication): call(for: publication)
        }
    }

    func call(for requeues: [Requeue]) -> ScriptCall {
        let arguments: [[FieldValue]] = requeues.map { requeue in
            let idle = idleTime(of: requeue).wholeMilliseconds
            return [.text("\(requeue.id)"), .integer(Int(idle)), .integer(requeue.count.rawValue)]
        }
        return consumer.call(.requeue, arguments.flatMap(\.self))
    }

    private func call(for publication: Publication) -> ScriptCall {
        var arguments: [FieldValue] = [.text("\(publication.id)")]
        // The first key is the stream of the message.
        for (number, output) in zip(2..., publication.outputs) {
            let maxLength = output.maxLength.map { "\($0)" } ?? ""
            arguments += [.integer(number), .text(maxLength), .integer(output.fields.count)] + output.fields
        }
        return consumer.call(.publish, keys: publication.outputs.map(\.stream), arguments)
    }

    /// The idle time that the server sets. It reaches the length of the lease when the message is due: from then on,
    /// any consumer may claim the message.
    private func idleTime(of requeue: Requeue) -> Duration {
        guard let lease = consumer.configuration.lease, let due = requeue.due else {
            return consumer.configuration.lease ?? .zero
        }
        let remaining = Duration.nanoseconds(max(0, (due - pending.eventLoop.now).nanoseconds))
        return lease - min(lease, remaining)
    }

    private static func decode(
        _ reply: RedisReply,
        to settlement: Settlement,
        _ call: ScriptCall
    ) -> Result<SettlementReply, RedisError> {
        Result { () throws(RedisError) in
            switch settlement {
            case .acknowledge: .acknowledged(try call.integer(reply))
            case .requeue: .requeued(except: try call.streamIDs(reply))
            case .publish: .published(reply.isNull ? nil : try call.streamIDs(reply))
            }
        }
    }
}
