/// A message that the server has given to this consumer of a group.
///
/// It stays pending for the consumer until it is acknowledged. ``GroupConsumer/Configuration/acknowledgement`` says
/// when that happens, and who does it.
public struct GroupMessage: Sendable, Identifiable {
    /// How a message came to this consumer.
    public enum Source: Sendable, Hashable {
        /// The server delivered it for the first time.
        case new
        /// It was pending for this consumer already, since before a restart or a lost connection.
        case pending
        /// It was pending for too long, for another consumer or for this one, so that this consumer claimed it.
        case claimed
        /// Its handler failed, and the time until the next attempt is over.
        case retried
    }

    let batch: DeliveredBatch
    let position: Int

    /// The entry itself.
    public var message: StreamMessage { StreamMessage(storage: batch.storage, position: position) }

    /// The id of the entry.
    public var id: StreamID { batch.storage.entries[position].id }

    /// The stream of the message.
    public var stream: StreamKey { batch.storage.stream }

    /// The fields, in order.
    public var fields: StreamFields { message.fields }

    /// The text of the first field called `name`, or `nil` if there is none.
    public subscript(name: String) -> String? { message.fields[name] }

    /// How the message came to this consumer.
    public var source: Source { batch.source }

    /// Whether the message may have been handled before, wholly or in part.
    public var isRedelivered: Bool { batch.source != .new }

    var deliveryCount: DeliveryCount { batch.count(at: position) }

    /// Which attempt at handling it this is, from 1 on. Only failures count: a redelivery after a restart or a lost
    /// connection does not use up an attempt.
    public var attempt: Int { deliveryCount.failures + 1 }

    /// How often the message was delivered since its last failure without an outcome, because the process that handled
    /// it crashed or stalled. The consumer handles such a message in quarantine: alone among messages with crashes, or, as
    /// long as it has one crash, together with others that have one. A crash while several of them are handled counts
    /// against none of them.
    public var crashes: Int { deliveryCount.crashes }

    /// Whether another consumer owns the message now, or may own it.
    var isLeaseLost: Bool { batch.pending.isLost(self) }

    /// Whether this consumer owns the message, and it has no outcome yet.
    ///
    /// Compares the lease with the clock on each call: `false` as soon as the lease has expired, even if this process
    /// stalled and does not know yet that other consumers may handle the message.
    public var isHeld: Bool { batch.pending.isHeld(self) }

    /// A copy of the entry that keeps nothing else in memory; see ``StreamMessage/detached()``.
    public func detached() -> StreamMessage { message.detached() }

    /// Reads the fields as a value; see ``StreamMessage/decode(_:)``.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/decodingFailed``, which names the field.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(RedisError) -> Value {
        try message.decode(type)
    }

    /// Acknowledges the message: it was handled, and will not be delivered again.
    ///
    /// Needed with ``GroupConsumer/Acknowledgement/manual`` only, and harmless otherwise. Returns at once: the consumer
    /// sends the acknowledgement with others within a few milliseconds, and again after a lost connection. Use
    /// ``GroupConsumer/acknowledge(_:)`` to wait for the server's confirmation.
    /// Source: [XACK](https://redis.io/docs/latest/commands/xack/).
    public func acknowledge() {
        batch.pending.acknowledge(self)
    }

    /// Reports that handling failed: the message is handled again, as after a handler that threw, by any consumer of
    /// the group. After the last attempt it becomes a dead letter, if there is a stream for dead letters.
    ///
    /// For ``GroupConsumer/Acknowledgement/manual``, and for loops, where nothing else counts as a failure.
    ///
    /// - Parameter delay: The time until then. Default: what ``GroupConsumer/Configuration/retry`` says.
    public func retry(after delay: Duration? = nil) {
        batch.pending.fail(self, because: Retry(after: delay))
    }

    /// Reports that the message can never be handled: it becomes a dead letter, or is acknowledged if there is no
    /// stream for dead letters.
    public func reject(_ reason: String) {
        batch.pending.fail(self, because: Reject(reason))
    }

    /// Returns the message to the group without acknowledging it: other consumers may get it at once, and no attempt is
    /// used up.
    ///
    /// For ``GroupConsumer/Acknowledgement/manual``, where the consumer holds a message that is neither acknowledged
    /// nor returned for as long as it runs: it keeps it in memory, and renews its lease.
    public func requeue() {
        batch.pending.requeue(self)
    }
}

extension GroupMessage: CustomStringConvertible {
    /// Stream, id and the number of fields, without their contents.
    public var description: String { message.description }
}
