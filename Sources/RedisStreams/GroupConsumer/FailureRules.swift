/// What becomes of a message whose handler has failed.
struct FailureRules: Sendable {
    enum Fate: Sendable {
        /// It is handled again after this time.
        case retry(after: Duration)
        /// It becomes a dead letter.
        case bury(Verdict, DeadLetter)
        /// It is acknowledged, and that is all.
        case drop(reason: String)
    }

    var retry = RetryPolicy.exponential()
    var deadLetter: DeadLetter?

    /// - Parameter jitter: A random number from 0 to 1.
    func fate(of message: GroupMessage, after error: any Error, jitter: Double) -> Fate {
        let failures = message.deliveryCount.failed.failures
        let reject = error as? Reject
        if let reject, deadLetter == nil { return .drop(reason: reject.reason) }
        if let deadLetter, deadLetter.holds(message.message), reject != nil || failures >= deadLetter.maxAttempts {
            let reason = reject?.reason ?? "Failed \(failures) times."
            return .bury(Verdict(attempts: failures, error: "\(type(of: error))", reason: reason), deadLetter)
        }
        let delay = (error as? Retry)?.delay ?? retry.delay(failures: failures, jitter: jitter)
        return .retry(after: delay)
    }

    /// Why a message is given up before it is handled once more; `nil` if it is not.
    func verdict(on count: DeliveryCount) -> Verdict? {
        guard let deadLetter else { return nil }
        if count.failures >= deadLetter.maxAttempts {
            return Verdict(attempts: count.failures, error: "unknown", reason: "Failed \(count.failures) times.")
        }
        // The delivery that is about to be handled is counted already.
        let crashes = count.unresolved - 1
        guard crashes >= deadLetter.maxCrashes else { return nil }
        return Verdict(
            attempts: count.failures,
            error: "crash",
            reason: "Whoever handled it died or lost it, \(crashes) times."
        )
    }
}

extension DeadLetter {
    /// Whether the message can become a dead letter. One that cannot is never given up, nor lost: it is too large for that,
    /// or it came from the stream of dead letters and would go round.
    func holds(_ message: StreamMessage) -> Bool {
        message.fields.count + Field.allCases.count <= Emission.Output.maxFields && !isOrigin(of: message)
    }

    /// Whether the message came from this stream, as the dead letter that it is tells. One of several levels names them all.
    private func isOrigin(of message: StreamMessage) -> Bool {
        message.fields.contains { $0.name == Field.stream.rawValue && $0.value == stream.rawValue }
    }

    /// The step that makes a dead letter of a message.
    func emission(of message: StreamMessage, group: String, verdict: Verdict) -> Emission {
        let output = Emission.Output(
            stream: stream,
            maxLength: maxLength,
            fields: fields(of: message, group: group, verdict: verdict)
        )
        return Emission(id: message.id, outputs: [output], verdict: verdict)
    }
}
