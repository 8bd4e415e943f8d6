import Testing

@testable import RedisStreams

@Suite struct BackoffTests {
    @Test func `The bound of the delay doubles with each attempt up to the limit`() {
        let backoff = Backoff()
        let bounds = (1...12).map { backoff.delay(attempt: $0, jitter: 1) }
        let expected: [Duration] = [
            .milliseconds(50), .milliseconds(100), .milliseconds(200), .milliseconds(400), .milliseconds(800),
            .milliseconds(1600), .milliseconds(3200), .seconds(5), .seconds(5), .seconds(5), .seconds(5), .seconds(5),
        ]
        #expect(bounds == expected)
    }

    @Test(arguments: [0, 0.25, 0.5, 1]) func `Jitter spreads the delay from nothing to its bound`(jitter: Double) {
        let backoff = Backoff()
        #expect(backoff.delay(attempt: 1, jitter: jitter) == .milliseconds(50) * jitter)
        #expect(backoff.delay(attempt: 100, jitter: jitter) == .seconds(5) * jitter)
    }

    @Test(arguments: [Int.min, -1, 0, 1, 2, 31, 32, 33, 64, 1000, Int.max])
    func `Extreme attempts neither overflow nor exceed the limit`(attempt: Int) {
        var widest = Backoff()
        widest.base = .nanoseconds(1)
        widest.limit = .seconds(3600)
        for backoff in [Backoff(), widest] {
            let delay = backoff.delay(attempt: attempt, jitter: 1)
            #expect(delay >= backoff.base)
            #expect(delay <= backoff.limit)
        }
    }

    @Test func `After a refusal by the server the delay is at least half a second, or the limit if that is less`() {
        let (refused, lost) = (RedisError(.noReplicas, "not now"), RedisError(.connectionClosed, "gone"))
        var backoff = Backoff()
        #expect(backoff.delay(attempt: 1, jitter: 0, after: refused) == .milliseconds(500))
        #expect(backoff.delay(attempt: 1, jitter: 1, after: refused) == .seconds(1))
        #expect(backoff.delay(attempt: 8, jitter: 1, after: refused) == .seconds(5))
        #expect(backoff.delay(attempt: 1, jitter: 0, after: lost) == .zero)
        backoff.limit = .milliseconds(100)
        #expect(backoff.delay(attempt: 1, jitter: 1, after: refused) == .milliseconds(100))
    }

    @Test func `If the base equals the limit, so does every delay`() throws {
        var backoff = Backoff()
        backoff.base = .seconds(2)
        backoff.limit = .seconds(2)
        try backoff.validate()
        #expect((1...5).allSatisfy { backoff.delay(attempt: $0, jitter: 1) == .seconds(2) })
    }

    @Test func `An invalid base or limit is refused`() {
        let pairs: [(Duration, Duration)] = [
            (.zero, .seconds(1)), (.seconds(-1), .seconds(1)), (.seconds(2), .seconds(1)),
            (.seconds(1), .seconds(3601)),
        ]
        for (base, limit) in pairs {
            var backoff = Backoff()
            backoff.base = base
            backoff.limit = limit
            let failure = error { () throws(RedisError) in try backoff.validate() }
            #expect(failure?.code == .invalidConfiguration, "\(base) \(limit)")
        }
    }
}
