internal import Synchronization

/// What a handler gets with its message: how often the message was tried, whether this consumer still owns it, and a
/// way to add entries in the step that acknowledges it.
public struct HandlerContext: Sendable {
    private let message: GroupMessage
    private let staged = Staged()

    init(_ message: GroupMessage) {
        self.message = message
    }

    /// Which attempt this is, from 1 on. Only failures count: a redelivery after a restart or a lost connection does
    /// not use up an attempt.
    public var attempt: Int { message.attempt }

    /// Whether another consumer owns the message, or may own it, because this consumer could not renew its lease: the
    /// outcome of the handler has no effect.
    ///
    /// Compares the lease with the clock on each call, also where this process stalled for longer than the lease. The
    /// consumer cancels the handler's task as soon as it notices, a third of a lease later at most.
    public var leaseLost: Bool { message.isLeaseLost }

    /// Stages an entry to add with the acknowledgement of this message. When the handler returns, the server adds all
    /// entries that it has staged and acknowledges the message in one step, if this consumer still owns the message. So
    /// a message adds its entries exactly once, whatever happens to replies, connections and processes. If the handler
    /// throws, nothing is added.
    ///
    /// In a cluster, all streams of one step must be in one slot; elsewhere there is no such rule. Give them the same
    /// hash tag, such as `{orders}:in` and `{orders}:out`: see ``StreamKey/slot``.
    ///
    /// - Parameters:
    ///   - fields: The fields, at least one.
    ///   - stream: The stream to add to.
    ///   - maxLength: To about how many entries the server trims the stream (`MAXLEN ~`). Default: not at all.
    /// - Throws: ``RedisError`` with ``RedisError/Code/invalidArgument`` for an entry that a stream cannot hold, and
    ///   where messages are acknowledged before they are handled, or not at all; with ``RedisError/Code/crossSlot`` for a
    ///   stream in another slot of the cluster than the stream of the message.
    public func emit(_ fields: StreamFieldsToAdd, to stream: StreamKey, maxLength: Int? = nil) throws(RedisError) {
        guard message.batch.pending.keepsPending else {
            throw RedisError(
                .invalidArgument,
                "With acknowledgement .onDelivery or .never a handler cannot emit entries."
            )
        }
        if let slotKey = message.batch.pending.slotKey {
            _ = try SlotCheck.slot(of: [slotKey, stream], for: XADD.name)
        }
        try XADD(stream, fields, trim: maxLength.map { .approximately(maxLength: $0) }).validate()
        guard fields.fields.count <= Publication.Output.maxFields else {
            throw RedisError(
                .invalidArgument,
                "An entry that a handler emits can have \(Publication.Output.maxFields) fields at most."
            )
        }
        let output = Publication.Output(
            stream: stream,
            maxLength: maxLength,
            fields: fields.fields.flatMap { [.text($0.name), $0.value] }
        )
        staged.outputs.withLock { $0.append(output) }
    }

    /// The staged entries.
    var outputs: [Publication.Output] { staged.outputs.withLock { $0 } }

    private final class Staged: Sendable {
        let outputs = Mutex<[Publication.Output]>([])
    }
}
