import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

/// A server was unreachable for longer than a lease, here of thirty seconds: the messages of its consumers can be
/// claimed, although these consumers live.
@Suite(.limitedTime) struct ClaimHoldTests {
    @Test func `After an outage, claims wait until consumers that lost the server too can have renewed`() {
        var machine = consuming()
        machine.lose(from: 1000, until: 31_000)
        let recovery = machine.next(now: .at(31_000))
        #expect(recovery == .recover(after: .zero), "the own pending list needs no claim")
        machine.recovered(last: nil)
        let read = machine.next(now: .at(31_000))
        #expect(read == .readNew(block: .seconds(5)))
        let early = machine.next(now: .at(40_999))
        #expect(early == .readNew(block: .milliseconds(1)))
        let claim = machine.next(now: .at(41_000))
        #expect(claim == .claim(from: .zero))
    }

    @Test func `A claim scan that an outage interrupts waits too, and continues at its cursor`() {
        var machine = consuming()
        machine.claimed(next: id("10-0"), didWork: true, now: .at(0))
        machine.lose(from: 1000, until: 31_000)
        machine.recovered(last: nil)
        let read = machine.next(now: .at(31_000))
        #expect(read == .readNew(block: .seconds(5)))
        let claim = machine.next(now: .at(41_000))
        #expect(claim == .claim(from: id("10-0")))
    }

    @Test func `Claims also wait after the server has refused commands on an open connection`() {
        var machine = consuming()
        for second in 0..<31 {
            _ = machine.failed(RedisError(.busy, "test"))
            machine.interrupted(by: RedisError(.busy, "test"), now: .at(1000 * second))
        }
        let read = machine.next(now: .at(31_000))
        #expect(read == .readNew(block: .seconds(5)))
        machine.readNew()
        let last = machine.next(now: .at(31_100))
        #expect(last == .readNew(block: .seconds(5)), "from the first answer on")
        let claim = machine.next(now: .at(41_100))
        #expect(claim == .claim(from: .zero))
    }

    @Test func `A short interruption lets no lease expire, and delays no claim`() {
        var machine = consuming()
        machine.lose(from: 1000, until: 5999)
        machine.recovered(last: nil)
        let claim = machine.next(now: .at(5999))
        #expect(claim == .claim(from: .zero))
    }

    @Test func `After a command that timed out, it is not known how long the server was unreachable`() {
        var machine = consuming()
        machine.lose(from: 100_000, until: 100_001, because: .timeout)
        machine.recovered(last: nil)
        let read = machine.next(now: .at(100_001))
        #expect(read == .readNew(block: .seconds(5)))
    }

    @Test(arguments: [(3000, 5000, 3000), (12_000, 5000, 5000), (60_000, 5000, 20_000), (60_000, 30_000, 30_000)])
    func `Claims wait for a third of a lease, or the time that others need to connect, but no longer than a lease`(
        lease: Int,
        backoff: Int,
        expected: Int
    ) {
        var configuration = GroupConsumer.Configuration()
        configuration.claimIdleTime = .milliseconds(lease)
        configuration.backoff.limit = .milliseconds(backoff)
        configuration.block = .seconds(3600)
        var machine = consuming(configuration)
        machine.lose(from: 0, until: lease)
        machine.recovered(last: nil)
        let read = machine.next(now: .at(lease))
        // No read waits for longer than a quarter of the lease.
        #expect(read == .readNew(block: .milliseconds(min(expected, lease / 4))))
        let early = machine.next(now: .at(lease + expected - 1))
        #expect(early == .readNew(block: .milliseconds(1)))
        let claim = machine.next(now: .at(lease + expected))
        #expect(claim == .claim(from: .zero))
    }

    private func consuming(_ configuration: GroupConsumer.Configuration = .init()) -> GroupReaderStateMachine {
        var machine = GroupReaderStateMachine(configuration, now: .at(0))
        machine.recovered(last: nil)
        return machine
    }
}

extension GroupReaderStateMachine {
    /// The connection is lost at `start`, and replaced at `end`.
    fileprivate mutating func lose(from start: Int, until end: Int, because code: RedisError.Code = .connectionClosed) {
        for time in [start, (start + end) / 2] {
            let error = RedisError(time == start ? code : .loading, "test")
            _ = failed(error)
            interrupted(by: error, now: .at(time))
        }
        _ = next(now: .at(end))
    }
}

// MARK: Whole consumers

extension ClaimHoldTests {
    @Test func `Messages handled during an outage are acknowledged, not claimed by the first consumer that is back`()
        async throws
    {
        let server = InMemoryRedis()
        // The owner needs five seconds to reconnect, the other consumer about half a second.
        let (slow, quick) = try (server.makeClient(jitter: 1), server.makeClient(jitter: 0.01))
        try await slow.running { slow in
            try await quick.running { quick in
                let (begun, handled, gate) = (Journal<String>(), Journal<String>(), Gate())
                let owner = Task {
                    try await consumer("owner", of: slow).run {
                        begun.record($0.name)
                        await gate.wait()
                        handled.record("owner")
                    }
                }
                try await slow.xadd("orders", ["item": "book"])
                while begun.all.isEmpty { await server.clock.advance(by: .milliseconds(1)) }
                let other = Task { try await consumer("other", of: quick).run { _ in handled.record("other") } }
                let loading = server.inject(.error("LOADING for a while"), times: .max)
                server.restart()
                // The owner has not lost its message yet.
                await server.clock.advance(by: .seconds(15))
                gate.open()
                while handled.all.isEmpty { await Task.yield() }
                for _ in 0..<300 { await pass(server.clock) }
                loading.stop()
                for _ in 0..<400 { await pass(server.clock) }
                #expect(handled.all == ["owner"])
                #expect(try await slow.xpending("orders", group: "billing").count == 0)
                for task in [owner, other] {
                    task.cancel()
                    _ = await task.result
                }
            }
        }
    }

    /// A tenth of a second, in which both consumers do all that they can: on a busy machine, the clock must not run ahead of
    /// the one that has to reconnect.
    private func pass(_ clock: ManualClock) async {
        await clock.advance(by: .milliseconds(100))
        await clock.calmDown()
    }

    private func consumer(_ name: String, of client: RedisClient) -> GroupConsumer {
        GroupConsumer(client, stream: "orders", group: "billing", consumer: name)
    }
}
