/// The delivery count of a message in the group's pending list.
///
/// The server counts every delivery, and does not know the reason for it. So this library adds a thousand for each
/// failed attempt. The rest counts the deliveries without an outcome since then: 1 while the message is handled for the
/// first time, and more if a process crashed while it had the message; see ``crashes``.
struct DeliveryCount: Sendable, Hashable {
    /// The number that the server keeps.
    let rawValue: Int

    init(_ rawValue: Int) {
        self.rawValue = max(0, rawValue)
    }

    /// The count of a message that the server has just delivered for the first time.
    static let first = DeliveryCount(1)

    /// How many attempts have failed.
    var failures: Int { rawValue / 1000 }

    /// How many deliveries had no outcome, or have none yet: 1 for the first delivery, 2 for one together with other
    /// quarantined messages, from 3 on for deliveries without another quarantined message beside them.
    var deliveriesWithoutOutcome: Int { rawValue % 1000 }

    /// How many crashes count against a message that is delivered with this count. The delivery itself is not one of
    /// them.
    ///
    /// When a process crashes on several quarantined messages, it is not known which of them was the cause: the crash
    /// counts against none of them.
    var crashes: Int { deliveriesWithoutOutcome <= 1 ? 0 : max(1, deliveriesWithoutOutcome - 2) }

    /// The count after one more failure, with no deliveries without an outcome.
    var failed: DeliveryCount { DeliveryCount(min(failures, .max / 1000 - 2) * 1000 + 1000) }

    /// The count without the last delivery, whose consumer returned the message: it did not crash.
    var returned: DeliveryCount { DeliveryCount(rawValue - min(deliveriesWithoutOutcome, 1)) }
}
