/// A message that a group has given to this consumer.
///
/// It stays pending for the consumer until it is acknowledged. When and by whom that is done is the consumer's
/// ``GroupConsumer/Configuration/acknowledgement``.
public struct GroupMessage: Sendable, Identifiable {
    /// How a message came to this consumer.
    public enum Source: Sendable, Hashable {
        /// It was delivered for the first time.
        case new
        /// It was pending for this consumer already: from before a restart or a lost connection.
        case pending
        /// It was pending for too long, for another consumer or for this one, and was claimed.
        case claimed
        /// Its handler has failed, and it has waited for as long as that asked for.
        case retried
    }

    let batch: DeliveredBatch
    let position: Int

    /// The entry itself.
    public var message: StreamMessage { StreamMessage(storage: batch.storage, position: position) }

    /// The id of the entry.
    public var id: StreamID { batch.storage.entries[position].id }

    /// The stream that the message is of.
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

    /// Which attempt at handling it this is, from 1 on. Attempts count failures: being delivered again, because a process
    /// was restarted or a connection was lost, does not use one up.
    public var attempt: Int { deliveryCount.failures + 1 }

    /// How often the message was delivered since its last failure without anybody having said what came of it, because
    /// the process that handled it died or stood still. Such a message is handled in quarantine: beside no other message
    /// of this kind, or, as long as it has one crash, in the company of others with one. A crash in company counts against
    /// none of them.
    public var crashes: Int { deliveryCount.crashes }

    /// Whether another consumer owns the message now, or may own it.
    var isLeaseLost: Bool { batch.session.isLost(self) }

    /// Whether the message is this consumer's, and neither acknowledged nor given up.
    ///
    /// Goes by the clock at the moment it is asked: `false` as soon as the lease has run out, also where this process stood
    /// still and has not been told yet that other consumers may handle the message.
    public var isHeld: Bool { batch.session.isHeld(self) }

    /// A copy of the entry that keeps nothing else in memory; see ``StreamMessage/detached()``.
    public func detached() -> StreamMessage { message.detached() }

    /// Reads the fields as a value; see ``StreamMessage/decode(_:)``.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/decodingFailed``, which names the field.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(RedisError) -> Value {
        try message.decode(type)
    }

    /// Acknowledges the message: it is done with, and will not be delivered again.
    ///
    /// Needed with ``GroupConsumer/Acknowledgement/manual`` only, and harmless otherwise. Returns at once: the
    /// acknowledgement is sent with others within a few milliseconds, and again after a lost connection. Use
    /// ``GroupConsumer/acknowledge(_:)`` to wait for the server's word.
    /// Source: [XACK](https://redis.io/docs/latest/commands/xack/).
    public func acknowledge() {
        batch.session.settle(self)
    }

    /// Says that handling has failed: the message is handled again, as after a handler that has thrown, by whichever
    /// consumer of the group takes it up. After the last attempt it becomes a dead letter, if there is a stream for those.
    ///
    /// For ``GroupConsumer/Acknowledgement/manual``, and for loops, where nothing else counts as a failure.
    ///
    /// - Parameter delay: After which time. Default: what ``GroupConsumer/Configuration/retry`` says.
    public func retry(after delay: Duration? = nil) {
        batch.session.fail(self, because: Retry(after: delay))
    }

    /// Says that the message can never be handled: it becomes a dead letter, or is acknowledged if there is no stream for
    /// those.
    public func reject(_ reason: String) {
        batch.session.fail(self, because: Reject(reason))
    }

    /// Gives the message up without acknowledging it: others may have it at once, and no attempt is used up.
    ///
    /// For ``GroupConsumer/Acknowledgement/manual``, where a message that is neither acknowledged nor released is held
    /// for as long as the consumer runs: in memory, and against being claimed.
    public func release() {
        batch.session.handBack(self)
    }
}

extension GroupMessage: CustomStringConvertible {
    /// Stream, id and the number of fields, without their contents.
    public var description: String { message.description }
}
