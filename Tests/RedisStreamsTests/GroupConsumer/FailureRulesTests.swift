import NIOEmbedded
import Testing

@testable import RedisStreams

@Suite struct FailureRulesTests {
    private let pending = PendingMessages(group: "billing", eventLoop: NIOAsyncTestingEventLoop())
    private let deadLetterEntry = DeadLetter("orders:dead", maxAttempts: 5, maxCrashes: 3, maxLength: 1000)

    // MARK: The delivery count

    @Test(arguments: [
        (1, 0, 1, 1000, 0), (0, 0, 0, 1000, 0), (1000, 1, 0, 2000, 1000), (2001, 2, 1, 3000, 2000),
        (2003, 2, 3, 3000, 2002), (-5, 0, 0, 1000, 0),
    ])
    func `A delivery count contains failures and deliveries without an outcome`(
        raw: Int,
        failures: Int,
        deliveriesWithoutOutcome: Int,
        failed: Int,
        returned: Int
    ) {
        let count = DeliveryCount(raw)
        #expect(count.failures == failures)
        #expect(count.deliveriesWithoutOutcome == deliveriesWithoutOutcome)
        #expect(count.failed.rawValue == failed, "a failure is the outcome of all deliveries before it")
        #expect(count.returned.rawValue == returned, "without the last delivery")
    }

    @Test(arguments: [Int.max, Int.max - 1, Int.max / 1000 * 1000, 9_007_199_254_740_000])
    func `A delivery count near the maximum, as XNACK FATAL sets it, does not overflow`(raw: Int) {
        let count = DeliveryCount(raw)
        #expect(count.failures > 1_000_000)
        #expect(count.failed.rawValue > 0)
        #expect(count.failed.failed.rawValue > 0)
        #expect(count.failed.deliveriesWithoutOutcome == 0)
        #expect(count.returned.rawValue > 0)
    }

    // MARK: After a failure

    @Test func `After a failure, the message is retried after the time of the policy, with one more failure`() {
        let rules = FailureRules(
            retry: .exponential(from: .seconds(1), upTo: .seconds(60)),
            deadLetter: deadLetterEntry
        )
        for (count, seconds) in [(1, 1), (1001, 2), (2001, 4), (3001, 8)] {
            guard case .retry(let delay) = rules.disposition(of: message(count), after: Failed(), jitter: 0) else {
                Issue.record("the message is not retried")
                return
            }
            #expect(delay == .seconds(seconds))
        }
    }

    @Test func `After its last attempt a message becomes a dead letter, which names only the type of the error`() {
        let rules = FailureRules(retry: .immediately, deadLetter: deadLetterEntry)
        guard
            case .deadLetter(let deadLetterReason, let stream) = rules.disposition(
                of: message(4001),
                after: Failed(),
                jitter: 0
            )
        else {
            Issue.record("the message is retried a sixth time")
            return
        }
        #expect(deadLetterReason == DeadLetterReason(attempts: 5, error: "Failed", text: "Failed 5 times."))
        #expect(stream == deadLetterEntry)
    }

    @Test func `Without a stream for dead letters there is no last attempt`() {
        let rules = FailureRules(retry: .fixed(.seconds(3)), deadLetter: nil)
        for count in [4001, 999_001, Int.max] {
            guard case .retry(after: .seconds(3)) = rules.disposition(of: message(count), after: Failed(), jitter: 0)
            else {
                Issue.record("the message is not retried")
                return
            }
        }
    }

    @Test func `Retry chooses the time, and uses up an attempt too`() {
        let rules = FailureRules(retry: .fixed(.seconds(3)), deadLetter: deadLetterEntry)
        guard
            case .retry(after: .milliseconds(20)) = rules.disposition(
                of: message(1),
                after: Retry(after: .milliseconds(20)),
                jitter: 0
            ), case .retry(after: .seconds(3)) = rules.disposition(of: message(1), after: Retry(), jitter: 0),
            case .deadLetter = rules.disposition(of: message(4001), after: Retry(after: .zero), jitter: 0)
        else {
            Issue.record("the delay is not that of Retry")
            return
        }
        #expect(Retry(after: .seconds(-1)).delay == .zero)
        #expect(Retry(after: .seconds(1_000_000_000)).delay == .seconds(30 * 86_400))
    }

    @Test func `Reject makes a dead letter at once, or drops the message if there is no stream for dead letters`() {
        let rules = FailureRules(deadLetter: deadLetterEntry)
        guard
            case .deadLetter(let deadLetterReason, _) = rules.disposition(
                of: message(1),
                after: Reject("no such customer"),
                jitter: 0
            )
        else {
            Issue.record("the message is retried")
            return
        }
        #expect(deadLetterReason == DeadLetterReason(attempts: 1, error: "Reject", text: "no such customer"))
        guard case .drop(let reason) = FailureRules().disposition(of: message(1), after: Reject("no"), jitter: 0) else {
            Issue.record("the message is not dropped")
            return
        }
        #expect(reason == "no")
    }

    @Test func `A message with too many fields becomes a dead letter without its fields`() {
        let rules = FailureRules(retry: .immediately, deadLetter: deadLetterEntry)
        let fields = Array(repeating: "x", count: 2 * Publication.Output.maxFields)
        guard let batch = MessageBatch(stream: "orders", reply: reply(array([entry("1-0", fields)]))) else { return }
        let delivered = DeliveredBatch(
            batch,
            counts: [DeliveryCount(4001)],
            source: .new,
            pending: pending,
            leaseStart: .at(0)
        )
        let large = GroupMessage(batch: delivered, position: 0)
        for error in [Failed(), Reject("no")] as [any Error] {
            guard
                case .deadLetter(let deadLetterReason, let deadLetterEntry) = rules.disposition(
                    of: large,
                    after: error,
                    jitter: 0
                )
            else {
                Issue.record("the message is retried")
                return
            }
            let publication = deadLetterEntry.publication(of: large.message, group: "billing", reason: deadLetterReason)
            #expect(publication.outputs[0].fields.map(text).suffix(2) == ["dead-letter.payload", "omitted"])
            #expect(publication.outputs[0].fields.count == 16)
        }
    }

    @Test func `A message is never dead-lettered into a stream that it came from`() throws {
        let origins = ["dead-letter.stream", "b", "dead-letter.stream", "a", "item", "book"]
        let batch = try #require(MessageBatch(stream: "c", reply: reply(array([entry("1-0", origins)]))))
        let counts = [DeliveryCount(4001)]
        let delivered = DeliveredBatch(batch, counts: counts, source: .new, pending: pending, leaseStart: .at(0))
        let nested = GroupMessage(batch: delivered, position: 0)
        for error in [Failed(), Reject("no")] as [any Error] {
            for origin in ["a", "b"] {
                let rules = FailureRules(retry: .immediately, deadLetter: DeadLetter(StreamKey(origin)))
                guard case .retry = rules.disposition(of: nested, after: error, jitter: 0) else {
                    Issue.record("the message is dead-lettered into \(origin)")
                    return
                }
            }
            guard
                case .deadLetter = FailureRules(deadLetter: deadLetterEntry).disposition(
                    of: nested,
                    after: error,
                    jitter: 0
                )
            else {
                Issue.record("the message is retried")
                return
            }
        }
    }

    // MARK: Before another attempt

    @Test(
        arguments: [
            (1, nil), (2, nil), (4, nil), (5, "crash"), (2004, nil), (2005, "crash"), (4001, nil), (5000, "unknown"),
            (5001, "unknown"), (Int.max, "unknown"),
        ] as [(Int, String?)]
    )
    func `A message becomes a dead letter after too many failures or crashes`(count: Int, error: String?) {
        let deadLetterReason = FailureRules(deadLetter: deadLetterEntry).deadLetterReason(for: DeliveryCount(count))
        #expect(deadLetterReason?.error == error)
        #expect(
            FailureRules().deadLetterReason(for: DeliveryCount(count)) == nil,
            "never without a stream for dead letters"
        )
        if error == "crash" { #expect(deadLetterReason?.text.contains("3 times") == true) }
    }

    @Test func `A dead letter describes the message, and contains its fields`() {
        let deadLetterReason = DeadLetterReason(attempts: 5, error: "Failed", text: "Failed 5 times.")
        let publication = deadLetterEntry.publication(
            of: message(4001).message,
            group: "billing",
            reason: deadLetterReason
        )
        #expect(publication.id == id("1-0"))
        #expect(publication.outputs.map(\.stream) == ["orders:dead"])
        #expect(publication.outputs[0].maxLength == 1000)
        #expect(publication.deadLetterReason == deadLetterReason)
        let texts = publication.outputs[0].fields.map(text)
        #expect(texts.count == 16)
        let description = texts.prefix(12)
        #expect(
            description == [
                "dead-letter.stream", "orders", "dead-letter.group", "billing", "dead-letter.id", "1-0",
                "dead-letter.attempts", "5", "dead-letter.error", "Failed", "dead-letter.reason", "Failed 5 times.",
            ]
        )
        #expect(texts[12] == "dead-letter.time")
        #expect((Int(texts[13]) ?? 0) > 1_700_000_000_000)
        #expect(texts.suffix(2) == ["field", "value"])
    }

    @Test func `The limits of dead letters must be positive, and one crash is not enough`() {
        let wrong = [
            DeadLetter("dead", maxAttempts: 0), DeadLetter("dead", maxCrashes: 1), DeadLetter("dead", maxCrashes: 0),
            DeadLetter("dead", maxLength: 0),
        ]
        for deadLetterEntry in wrong {
            #expect { try deadLetterEntry.validate() } throws: { ($0 as? RedisError)?.code == .invalidConfiguration }
        }
        #expect(throws: Never.self) { try deadLetterEntry.validate() }
    }

    private func message(_ count: Int) -> GroupMessage {
        let counts = [DeliveryCount(count)]
        let batch = DeliveredBatch(
            messageBatch(["1-0"]),
            counts: counts,
            source: .new,
            pending: pending,
            leaseStart: .at(0)
        )
        return GroupMessage(batch: batch, position: 0)
    }

    private func text(_ value: FieldValue) -> String {
        switch value {
        case .text(let text): text
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        }
    }
}

struct Failed: Error {}
