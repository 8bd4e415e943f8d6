/// Decides what happens to a message whose handler has failed. Free of I/O and clocks.
struct FailureRules: Sendable {
    /// What happens to the message.
    enum Disposition: Sendable {
        /// It is handled again after this time.
        case retry(after: Duration)
        /// It becomes a dead letter.
        case deadLetter(DeadLetterReason, DeadLetter)
        /// It is acknowledged without a dead letter entry, since there is no stream for dead letters.
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
            let text = reject?.reason.onOneLine() ?? Self.text(failures: failures, last: details(of: error))
            let reason = DeadLetterReason(attempts: failures, error: "\(type(of: error))", text: text)
            return .deadLetter(reason, deadLetter)
        }
        let delay = (error as? Retry)?.delay ?? retry.delay(failures: failures, jitter: jitter)
        return .retry(after: delay)
    }

    private static func text(failures: Int, last: String?) -> String {
        let times = failures == 1 ? "Failed once." : "Failed \(failures) times."
        return last.map { "\(times) The last error: \($0)" } ?? times
    }

    /// The text of an error for logs: its type, and the user's description.
    func text(of error: any Error) -> String {
        let type = "\(type(of: error))"
        return details(of: error).map { "\(type): \($0)" } ?? type
    }

    /// What the error or the user says about an error in addition to its type; `nil` for nothing.
    private func details(of error: any Error) -> String? {
        let text = ((error as? Reject)?.reason ?? describe(error)).onOneLine()
        return text.isEmpty || text == "\(type(of: error))" ? nil : text
    }

    /// Why a message becomes a dead letter before it is handled once more; `nil` if it does not.
    func deadLetterReason(for count: DeliveryCount) -> DeadLetterReason? {
        guard let deadLetter else { return nil }
        if count.failures >= deadLetter.maxAttempts {
            let text = Self.text(failures: count.failures, last: nil)
            return DeadLetterReason(attempts: count.failures, error: "unknown", text: text)
        }
        let crashes = count.crashes
        guard crashes >= deadLetter.maxCrashes else { return nil }
        return DeadLetterReason(
            attempts: count.failures,
            error: "crash",
            text: "The process that handled it crashed or lost it, \(crashes) times."
        )
    }
}
