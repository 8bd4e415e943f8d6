import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

/// The hooks that the parts of a consumer call, and who hears of them.
@Suite struct ConsumerHookTests {
    /// A call of each hook, what the other instruments hear, and what is counted.
    private static let calls:
        [(@Sendable (ConsumerObserver) -> Void, String, @Sendable (inout ConsumerCounters) -> Void)] = [
            ({ $0.delivered(3) }, "delivered 3", { $0.delivered = 3 }),
            ({ $0.redelivered(2) }, "redelivered 2", { $0.redelivered = 2 }),
            ({ $0.claimed(2) }, "claimed 2", { _ in }),
            ({ $0.ready() }, "ready", { _ in }),
            ({ $0.groupCreated(after: id("1-0"), wasLost: true) }, "group after 1-0, lost: true", { _ in }),
            (
                { $0.interrupted(by: refused, retryAfter: .zero) }, "interrupted connectionRefused 0.0 seconds",
                { $0.interruptions = 1 }
            ),
            ({ $0.reconnected() }, "reconnected", { _ in }),
            (
                { $0.trimmedUnread(4, after: id("1-0"), before: id("9-0")) }, "trimmed 4 1-0 9-0",
                { $0.trimmedUnread = 4 }
            ),
            ({ $0.trimmedUnread(nil, after: id("1-0"), before: id("9-0")) }, "trimmed -1 1-0 9-0", { _ in }),
            (
                { $0.discontinued(Discontinuity(.missing, stream: "s", position: .zero, lastID: .zero)) },
                "discontinued missing", { $0.discontinuities = 1 }
            ),
            ({ $0.unreadable(id("1-0"), in: "s", because: "large") }, "unreadable 1-0 s large", { $0.unreadable = 1 }),
            ({ $0.consumersRemoved(["a"]) }, #"removed ["a"]"#, { _ in }),
            ({ $0.rightsMissing(["XINFO"]) }, #"rights ["XINFO"]"#, { _ in }),
            ({ $0.acknowledged(5) }, "acknowledged 5", { $0.acknowledged = 5 }),
            ({ $0.failed(id("1-0")) }, "failed 1-0", { $0.failures = 1 }),
            (
                { $0.retrying(id("1-0"), failures: 2, after: .zero, because: "boom") },
                "retrying 1-0 2 0.0 seconds boom", { _ in }
            ),
            (
                { $0.deadLettered(id("1-0"), entry: nil, because: "no") }, "dead-lettered 1-0 - no",
                { $0.deadLettered = 1 }
            ),
            ({ $0.rejected(id("1-0"), because: "no") }, "rejected 1-0 no", { $0.rejected = 1 }),
            ({ $0.returned(6) }, "returned 6", { $0.returned = 6 }),
            ({ $0.leaseLost([id("1-0")]) }, "lost 1", { $0.leasesLost = 1 }),
            ({ $0.claimedEarly([id("1-0")], by: "b") }, "claimed early 1 b", { _ in }),
            ({ $0.deleted([id("1-0"), id("2-0")]) }, "deleted 2", { $0.deleted = 2 }),
            ({ $0.unsettled([id("1-0")]) }, "unsettled 1", { _ in }),
            ({ $0.handlerRunsLong(id("1-0"), for: .zero) }, "runs long 1-0 0.0 seconds", { _ in }),
        ]

    @Test(arguments: calls.indices) func `A hook is counted once, and heard by each instrument once`(index: Int) {
        let (call, line, count) = Self.calls[index]
        let recorders = [HookRecorder(), HookRecorder()]
        let observer = ConsumerObserver(instruments: Instruments(recorders))
        call(observer)
        #expect(recorders.map(\.lines.all) == [[line], [line]])
        var expected = ConsumerCounters()
        count(&expected)
        #expect(observer.counters == expected)
    }

    @Test func `A client asks an instrument once for each consumer, which hears of that consumer only`() async throws {
        let lines = Journal<String>()
        let server = InMemoryRedis()
        let redis = try RedisClient(
            .init(),
            transport: server,
            logger: LogJournal().logger,
            eventLoopGroup: server.clock.eventLoop,
            instruments: [Labelled(label: "client", lines: lines)]
        )
        try await redis.running { redis in
            try await redis.xadd("orders", ["n": "1"])
            for try await _ in StreamConsumer(redis, stream: "orders", from: .beginning) { break }
        }
        #expect(lines.all.filter { $0.hasSuffix("delivered 1") } == ["orders - - delivered 1"])
    }

    @Test func `An event that is reported calls the hook that is named for it, with the reason`() {
        let recorder = HookRecorder()
        let observer = ConsumerObserver(instruments: Instruments([recorder]))
        observer.report(.retrying(id: id("1-0"), failures: 1, after: .zero), because: "boom")
        #expect(recorder.lines.all == ["retrying 1-0 1 0.0 seconds boom"])
    }
}

/// An instrument that has a label for each consumer.
private struct Labelled: DeliveryInstrument {
    let label: String
    let lines: Journal<String>

    func instrument(for consumer: ConsumerIdentity) -> any Instrument {
        let streams = consumer.streams.map(\.rawValue).joined(separator: ",")
        return Labelled(label: "\(streams) \(consumer.group ?? "-") \(consumer.name ?? "-")", lines: lines)
    }

    func delivered(_ count: Int) { lines.record("\(label) delivered \(count)") }
}
