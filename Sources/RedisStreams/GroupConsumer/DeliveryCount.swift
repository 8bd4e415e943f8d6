/// What the group's pending list tells of a message in its count of deliveries.
///
/// The server counts every delivery, and cannot tell why there was another one. So this library writes down what it
/// knows: a thousand for each failed attempt. What is left counts the deliveries since that had no outcome: 1 while the
/// message is handled for the first time, and more if somebody who had it has died.
struct DeliveryCount: Sendable, Hashable {
    /// The number as the server has it.
    let rawValue: Int

    init(_ rawValue: Int) {
        self.rawValue = max(0, rawValue)
    }

    /// Of a message that has just been delivered for the first time.
    static let first = DeliveryCount(1)

    /// How many attempts have failed.
    var failures: Int { rawValue / 1000 }

    /// How many deliveries had no outcome, or none yet.
    var unresolved: Int { rawValue % 1000 }

    /// After one more failure: what is to be delivered again, with nothing unexplained.
    var failed: DeliveryCount { DeliveryCount(min(failures, .max / 1000 - 2) * 1000 + 1000) }

    /// As if the last delivery had not been: the message was given back, by somebody who is well.
    var returned: DeliveryCount { DeliveryCount(rawValue - min(unresolved, 1)) }
}
