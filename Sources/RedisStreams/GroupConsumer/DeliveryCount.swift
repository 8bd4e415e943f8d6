/// What the group's pending list tells of a message in its count of deliveries.
///
/// The server counts every delivery, and cannot tell why there was another one. So this library writes down what it
/// knows: a thousand for each failed attempt. What is left counts the deliveries since that had no outcome: 1 while the
/// message is handled for the first time, and more if a process that had it has crashed; see ``crashes``.
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

    /// How many deliveries had no outcome, or none yet: 1 for the first delivery, 2 for one in the company of other
    /// quarantined messages, from 3 on for those that ran beside no other quarantined message.
    var unsettledDeliveries: Int { rawValue % 1000 }

    /// How many crashes count against a message that is delivered with this count. The delivery itself is not one of them.
    ///
    /// A crash in company of other quarantined messages says of none of them that it was to blame, and counts against none.
    var crashes: Int { unsettledDeliveries <= 1 ? 0 : max(1, unsettledDeliveries - 2) }

    /// After one more failure: what is to be delivered again, with nothing unexplained.
    var failed: DeliveryCount { DeliveryCount(min(failures, .max / 1000 - 2) * 1000 + 1000) }

    /// As if the last delivery had not been: the message was given back, by a consumer that is well.
    var returned: DeliveryCount { DeliveryCount(rawValue - min(unsettledDeliveries, 1)) }
}
