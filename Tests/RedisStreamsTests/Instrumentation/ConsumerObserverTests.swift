import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct ConsumerObserverTests {
    @Test func `Events wait until they are read, and the oldest make room for newer ones, which is counted`() async {
        let observer = ConsumerObserver()
        for number in 1...(ConsumerObserver.bufferedEvents + 10) { observer.report(.claimed(count: number)) }
        #expect(observer.counters.eventsDropped == 10)
        var events = observer.events.makeAsyncIterator()
        for expected in 11...(ConsumerObserver.bufferedEvents + 10) {
            guard case .claimed(expected) = await events.next() else {
                Issue.record("not the event \(expected)")
                return
            }
        }
        observer.report(.reconnected)
        guard case .reconnected = await events.next() else {
            Issue.record("nothing after the buffered ones")
            return
        }
        #expect(observer.counters.eventsDropped == 10)
    }

    @Test func `Events end with the run, and a second request gets those of the next one`() async {
        let observer = ConsumerObserver()
        var first = observer.events.makeAsyncIterator()
        observer.beginRun()
        observer.beginRun()
        observer.report(.claimed(count: 1))
        observer.endRun()
        observer.report(.claimed(count: 2))
        observer.endRun()
        for expected in 1...2 {
            guard case .claimed(expected) = await first.next() else {
                Issue.record("not the event \(expected)")
                return
            }
        }
        #expect(await first.next() == nil)
        var second = observer.events.makeAsyncIterator()
        observer.beginRun()
        observer.report(.reconnected)
        observer.endRun()
        guard case .reconnected = await second.next() else {
            Issue.record("not the event of the second run")
            return
        }
        #expect(await second.next() == nil)
    }

    @Test func `A first request behind the end of the run gets what happened, and the end`() async {
        let observer = ConsumerObserver()
        observer.beginRun()
        observer.report(.reconnected)
        observer.endRun()
        var events = observer.events.makeAsyncIterator()
        guard case .reconnected = await events.next() else {
            Issue.record("not the event")
            return
        }
        #expect(await events.next() == nil)
    }

    @Test func `Events end with the last copy of a consumer that never ran`() async throws {
        let events = GroupConsumer(try FakeTransport().makeClient(), stream: "orders", group: "billing").events
        for await _ in events { Issue.record("nothing happens to it") }
    }

    @Test func `Each event is counted by its kind`() {
        let observer = ConsumerObserver()
        let position = id("1-0")
        let gap = Discontinuity(.regressed, stream: "orders", position: position, lastID: .zero)
        let events: [ConsumerEvent] = [
            .groupCreated(after: position, wasLost: true), .claimed(count: 5), .leaseLost(ids: ids("1-0", "2-0")),
            .retrying(id: position, failures: 1, after: .zero), .deadLettered(id: position, entry: nil, reason: ""),
            .rejected(id: position, reason: ""), .deleted(ids: ids("1-0", "2-0", "3-0")),
            .trimmedUnread(count: 4, after: position, before: position),
            .trimmedUnread(count: nil, after: position, before: position), .discontinuity(gap),
            .interrupted(RedisError(.timeout, ""), retryAfter: .zero),
            .reconnected, .handlerRunsLong(id: position, for: .seconds(600)),
        ]
        for event in events { observer.report(event) }
        observer.count { $0.delivered += 7 }
        var expected = ConsumerCounters()
        expected.delivered = 7
        expected.leasesLost = 2
        expected.deadLettered = 1
        expected.rejected = 1
        expected.deleted = 3
        expected.trimmedUnread = 4
        expected.discontinuities = 1
        expected.interruptions = 1
        #expect(observer.counters == expected)
    }

    @Test func `A failed handler is counted once, whatever comes of its message`() async throws {
        let deadLetterEntry = DeadLetter("orders:dead")
        for (rules, error) in [
            (FailureRules(), Failed() as any Error), (FailureRules(), Reject("no")),
            (FailureRules(deadLetter: deadLetterEntry), Reject("no")),
        ] {
            let transport = FakeTransport()
            let observer = ConsumerObserver()
            let pending = PendingMessages(
                group: "billing",
                rules: rules,
                observer: observer,
                eventLoop: try transport.makeClient().nextEventLoop()
            )
            let batch = DeliveredBatch(messageBatch(["1-0"]), source: .new, pending: pending, leaseStart: .at(0))
            _ = pending.hold(batch)
            pending.fail(GroupMessage(batch: batch, position: 0), because: error)
            #expect(observer.counters.failures == 1)
        }
    }

    @Test func `Copies of a consumer share their counters`() async throws {
        let consumer = GroupConsumer(try FakeTransport().makeClient(), stream: "orders", group: "billing")
        let copy = consumer
        consumer.observer.count { $0.acknowledged += 2 }
        #expect(copy.counters.acknowledged == 2)
    }
}
