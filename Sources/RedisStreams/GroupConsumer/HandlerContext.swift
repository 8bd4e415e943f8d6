internal import Synchronization

/// What a handler is given besides its message: how often it was tried, whether it is still this consumer's, and a way to
/// add entries that come of it.
public struct HandlerContext: Sendable {
    private let message: GroupMessage
    private let staged = Staged()

    init(_ message: GroupMessage) {
        self.message = message
    }

    /// Which attempt this is, from 1 on. Attempts count failures: being delivered again, because a process was restarted
    /// or a connection was lost, does not use one up.
    public var attempt: Int { message.attempt }

    /// Whether another consumer owns the message, or may own it, since its lease could not be renewed: whatever the handler
    /// does with the message has no effect.
    ///
    /// Goes by the clock at the moment it is asked, also where this process stood still for longer than the lease. The
    /// handler's task is cancelled as soon as the consumer notices, a third of a lease later at most.
    public var leaseLost: Bool { message.isLeaseLost }

    /// Stages an entry that comes of this message. Nothing is added yet: when the handler returns, all that it has staged
    /// is added in one step, in which the message is acknowledged too, if it is still this consumer's. So the entries are
    /// there exactly once for a message, whatever happens to replies, connections and processes. If the handler throws,
    /// nothing is added.
    ///
    /// In a cluster, all streams of one step must be in one slot; elsewhere any streams go. Give them the same hash tag,
    /// such as `{orders}:in` and `{orders}:out`: see ``StreamKey/slot``.
    ///
    /// - Parameters:
    ///   - fields: The fields, at least one.
    ///   - stream: The stream to add to.
    ///   - maxLength: To about how many entries the stream is trimmed (`MAXLEN ~`). Default: not at all.
    /// - Throws: ``RedisError`` with ``RedisError/Code/invalidArgument`` for an entry that cannot be, and where messages are
    ///   acknowledged before they are handled, or not at all.
    public func emit(_ fields: StreamFieldsToAdd, to stream: StreamKey, maxLength: Int? = nil) throws(RedisError) {
        guard message.batch.session.keepsPending else {
            throw RedisError(
                .invalidArgument,
                "With acknowledgement .onDelivery or .never nothing can be added in the step that acknowledges."
            )
        }
        try XADD(stream, fields, trim: maxLength.map { .approximately(maxLength: $0) }).validate()
        guard fields.fields.count <= Publication.Output.maxFields else {
            throw RedisError(
                .invalidArgument,
                "An entry that is added by a script can have \(Publication.Output.maxFields) fields at most."
            )
        }
        let output = Publication.Output(
            stream: stream,
            maxLength: maxLength,
            fields: fields.fields.flatMap { [.text($0.name), $0.value] }
        )
        staged.outputs.withLock { $0.append(output) }
    }

    /// What was staged.
    var outputs: [Publication.Output] { staged.outputs.withLock { $0 } }

    private final class Staged: Sendable {
        let outputs = Mutex<[Publication.Output]>([])
    }
}
