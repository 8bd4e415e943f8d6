/// What becomes of a message whose handler has failed.
struct FailureRules: Sendable {
    enum Disposition: Sendable {
        /// It is handled again after this time.
        case retry(after: Duration)
        /// It becomes a dead letter.
        case deadLetter(DeadLetterReason, DeadLetter)
        /// It is acknowledged, and that is all.
        case drop(reason: String)
    }

    var retry = RetryPolicy.exponential()
    var deadLetter: DeadLetter?
    var describe = GroupConsumer.Configuration().describe

    /// - Parameter jitter: A random number from 0 to 1.
    func disposition(of message: GroupMessage, after error: any Error, jitter: Double) -> Disposition {
        let failures = message.deliveryCount.failed.failures
        let reject = error as? Reject
        if let reject, deadLetter == nil { return .drop(reason: reject.reason.onOneLine()) }
        if let deadLetter, !deadLetter.isOrigin(of: message.message),
            reject != nil || failures >= deadLetter.maxAttempts
        {
            let reason = reject?.reason.onOneLine() ?? Self.reason(failures: failures, last: details(of: error))
            return .deadLetter(DeadLetterReason(attempts: failures, error: "\(type(of: error))", reason: reason), deadLetter)
        }
        let delay = (error as? Retry)?.delay ?? retry.delay(failures: failures, jitter: jitter)
        return .retry(after: delay)
    }

    private static func reason(failures: Int, last: String?) -> String {
        let times = failures == 1 ? "Failed once." : "Failed \(failures) times."
        return last.map { "\(times) The last error: \($0)" } ?? times
    }

    /// An error in words, for logs: its type, and what the user says of it.
    func text(of error: any Error) -> String {
        let type = "\(type(of: error))"
        return details(of: error).map { "\(type): \($0)" } ?? type
    }

    /// What there is to say of an error besides its type.
    private func details(of error: any Error) -> String? {
        let text = ((error as? Reject)?.reason ?? describe(error)).onOneLine()
        return text.isEmpty || text == "\(type(of: error))" ? nil : text
    }

    /// Why a message is given up before it is handled once more; `nil` if it is not.
    func deadLetterReason(on count: DeliveryCount) -> DeadLetterReason? {
        guard let deadLetter else { return nil }
        if count.failures >= deadLetter.maxAttempts {
            let reason = Self.reason(failures: count.failures, last: nil)
            return DeadLetterReason(attempts: count.failures, error: "unknown", reason: reason)
        }
        let crashes = count.crashes
        guard crashes >= deadLetter.maxCrashes else { return nil }
        return DeadLetterReason(
            attempts: count.failures,
            error: "crash",
            reason: "Whoever handled it died or lost it, \(crashes) times."
        )
    }
}

extension DeadLetter {
    /// The step that makes a dead letter of a message. One with more fields than a script can add goes without them.
    func publication(of message: StreamMessage, group: String, deadLetterReason: DeadLetterReason) -> Publication {
        let isOmitted = message.fields.count + Field.allCases.count > Publication.Output.maxFields
        let payload = message.fields.flatMap { [FieldValue.bytes($0.nameBytes), .bytes($0.valueBytes)] }
        return publication(of: message.id, in: message.stream, group, deadLetterReason, payload: isOmitted ? nil : payload)
    }

    /// Whether the message came from this stream, as the dead letter that it is tells. One of several levels names them all.
    func isOrigin(of message: StreamMessage) -> Bool {
        message.fields.contains { $0.name == Field.stream.rawValue && $0.value == stream.rawValue }
    }

    /// The step that makes a dead letter of an entry whose body cannot be read.
    func publication(
        ofUnreadable id: StreamID,
        in origin: StreamKey,
        group: String,
        deadLetterReason: DeadLetterReason
    ) -> Publication {
        publication(of: id, in: origin, group, deadLetterReason, payload: nil)
    }

    private func publication(
        of id: StreamID,
        in origin: StreamKey,
        _ group: String,
        _ deadLetterReason: DeadLetterReason,
        payload: [FieldValue]?
    ) -> Publication {
        let told = fields(of: id, in: origin, group: group, deadLetterReason: deadLetterReason, omitsPayload: payload == nil)
        let output = Publication.Output(stream: stream, maxLength: maxLength, fields: told + (payload ?? []))
        return Publication(id: id, outputs: [output], deadLetterReason: deadLetterReason)
    }
}
