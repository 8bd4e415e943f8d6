/// Where messages go that cannot be handled, and when.
///
/// A dead letter is an entry with the fields of the message, after fields that describe it: where it came from, how
/// often its handler failed, why it was dead-lettered, and when. The server adds it in the step in which it
/// acknowledges the message, if this consumer still owns the message. ``RedisCommandExecutor/redrive(_:count:)`` puts
/// dead letters back.
///
/// A message with more than about 3,900 fields, or one that is larger than ``RESPLimits`` allow to read, becomes a dead
/// letter without its fields (``Field/payload`` says so). The entry itself stays in its stream until that is trimmed.
///
/// A message that came from this stream, through another stream of dead letters, would go round in circles for ever:
/// the consumer retries it instead.
public struct DeadLetter: Sendable, Hashable {
    /// The stream for dead letters. It must not be the stream of the messages; in a cluster both must be in the same
    /// slot: give them the same hash tag, such as `{orders}` and `{orders}:dead`.
    public var stream: StreamKey

    /// How many attempts a message has: after this number of failures it becomes a dead letter. Default: 5.
    public var maxAttempts: Int

    /// After how many crashes of the process that handled it a message becomes a dead letter, from 2 on: after one
    /// crash, all messages that the process held are under the same suspicion. Default: 3.
    public var maxCrashes: Int

    /// To about how many dead letters the server trims the stream (`MAXLEN ~`). Default: `nil`, not at all.
    public var maxLength: Int?

    /// Dead-letters messages after this number of attempts, or of crashes.
    public init(_ stream: StreamKey, maxAttempts: Int = 5, maxCrashes: Int = 3, maxLength: Int? = nil) {
        self.stream = stream
        self.maxAttempts = maxAttempts
        self.maxCrashes = maxCrashes
        self.maxLength = maxLength
    }

    /// The names of the fields that describe a message.
    public enum Field: String, CaseIterable, Sendable {
        /// The stream of the message.
        case stream = "dead-letter.stream"
        /// The group that could not handle it.
        case group = "dead-letter.group"
        /// The id of the message.
        case id = "dead-letter.id"
        /// How many attempts have failed.
        case attempts = "dead-letter.attempts"
        /// The type of the last error, or `crash`.
        case error = "dead-letter.error"
        /// Why it was dead-lettered, in words, with what ``GroupConsumer/Configuration/describe`` says about the last
        /// error.
        case reason = "dead-letter.reason"
        /// When it was dead-lettered: milliseconds since 1970, by the clock of the consumer.
        case time = "dead-letter.time"
        /// `omitted`, if the fields of the message are not in the dead letter; otherwise there is no such field.
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
