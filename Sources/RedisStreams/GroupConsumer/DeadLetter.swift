/// Where messages go that cannot be handled, and when.
///
/// A dead letter is an entry with the fields of the message, behind some that tell of it: where it came from, how often it
/// was tried, why it was given up, and when. It is added in the same step in which the message is acknowledged, if it is
/// still this consumer's. ``RedisCommandExecutor/redrive(_:count:)`` puts dead letters back.
///
/// A message with more than about 3,900 fields, or one that is larger than ``RESPLimits`` allow to read, becomes a dead letter
/// without its fields (``Field/payload`` says so). The entry itself stays in its stream until that is trimmed.
///
/// A message that came from this stream, by way of another stream of dead letters, would go round for ever: it is tried again
/// instead.
public struct DeadLetter: Sendable, Hashable {
    /// The stream for dead letters, which is not the stream of the messages. In a cluster it must be in the same slot as
    /// that: give both the same hash tag, such as `{orders}` and `{orders}:dead`.
    public var stream: StreamKey

    /// How many attempts a message has: after so many failures it is given up. Default: 5.
    public var maxAttempts: Int

    /// After how many crashes of the process that handled it a message is given up, from 2 on: with one crash, everything
    /// that the process held looks alike. Default: 3.
    public var maxCrashes: Int

    /// To about how many dead letters the stream is trimmed (`MAXLEN ~`). Default: `nil`, not at all.
    public var maxLength: Int?

    /// Gives messages up after so many attempts, or crashes of processes.
    public init(_ stream: StreamKey, maxAttempts: Int = 5, maxCrashes: Int = 3, maxLength: Int? = nil) {
        self.stream = stream
        self.maxAttempts = maxAttempts
        self.maxCrashes = maxCrashes
        self.maxLength = maxLength
    }

    /// The names of the fields that tell of a message.
    public enum Field: String, CaseIterable, Sendable {
        /// The stream that the message was of.
        case stream = "dead-letter.stream"
        /// The group that could not handle it.
        case group = "dead-letter.group"
        /// Its id.
        case id = "dead-letter.id"
        /// How many attempts have failed.
        case attempts = "dead-letter.attempts"
        /// The type of the last error, or `crash`.
        case error = "dead-letter.error"
        /// Why it was given up, in words, with what ``GroupConsumer/Configuration/describe`` says of the last error.
        case reason = "dead-letter.reason"
        /// When it was given up: milliseconds since 1970, by the clock of the consumer.
        case time = "dead-letter.time"
        /// `omitted`, if the fields of the message are not in the dead letter; else it is not there.
        case payload = "dead-letter.payload"
    }

    func validate() throws(RedisError) {
        guard maxAttempts > 0, maxCrashes > 1, maxLength ?? 1 > 0 else {
            throw RedisError(
                .invalidConfiguration,
                "maxAttempts and maxLength of dead letters must be positive, and maxCrashes 2 or more."
            )
        }
    }
}

/// Why a message is given up.
struct DeadLetterReason: Sendable, Hashable {
    var attempts: Int
    /// The type of the error.
    var error: String
    var reason: String
}

extension DeadLetter {
    /// The fields that tell of a message, as the arguments of `XADD`.
    func fields(
        of id: StreamID,
        in origin: StreamKey,
        group: String,
        deadLetterReason: DeadLetterReason,
        omitsPayload: Bool
    ) -> [FieldValue] {
        var told: [(Field, FieldValue)] = [
            (.stream, .text(origin.rawValue)), (.group, .text(group)), (.id, .text("\(id)")),
            (.attempts, .integer(deadLetterReason.attempts)), (.error, .text(deadLetterReason.error)),
            (.reason, .text(deadLetterReason.reason)), (.time, .integer(Host.millisecondsSince1970)),
        ]
        if omitsPayload { told.append((.payload, .text("omitted"))) }
        return told.flatMap { [.text($0.rawValue), $1] }
    }
}
