import NIOCore
import Testing

@testable import RedisStreams

@Suite struct PrefetchBudgetTests {
    private func budget(
        _ time: Duration = .milliseconds(100),
        concurrency: Int = 1,
        batch: Int = 100,
        prefetch: Int = 300
    ) -> PrefetchBudget {
        PrefetchBudget(time: time, concurrency: concurrency, batch: batch, prefetch: prefetch)
    }

    @Test(arguments: [1, 4, 16]) func `It starts with one waiting message per handler, besides the one at work`(
        concurrency: Int
    ) {
        let budget = budget(concurrency: concurrency)
        #expect(budget.room(waiting: 0, free: concurrency) == 2 * concurrency)
        #expect(budget.room(waiting: concurrency, free: 0) == 0)
    }

    @Test func `Fast handlers bring it to its bounds within ten reads`() {
        var budget = budget()
        var reads = 0
        while budget.room(waiting: 300, free: 0) < 100, reads < 1000 {
            for _ in 0..<min(100, budget.room(waiting: 0, free: 1)) { budget.handled(in: .microseconds(2)) }
            reads += 1
        }
        #expect(reads <= 10)
        for _ in 0..<200 { budget.handled(in: .microseconds(2)) }
        #expect(!budget.measuresEach, "only some handler calls are measured")
        #expect(budget.room(waiting: 0, free: 0) == 400, "one batch more than prefetch")
        #expect(budget.room(waiting: 301, free: 0) == 0)
    }

    @Test func `If handlers take longer than the time, no messages wait besides those they work on`() {
        var budget = budget(concurrency: 4)
        for _ in 0..<20 { budget.handled(in: .milliseconds(500)) }
        #expect(budget.measuresEach)
        #expect(budget.room(waiting: 0, free: 0) == 0)
        #expect(budget.room(waiting: 0, free: 3) == 3)
        #expect(budget.room(waiting: 1, free: 3) == 2)
        #expect(budget.room(waiting: 3, free: 3) == 0)
    }

    @Test func `About as many messages wait as the handlers process in the time`() {
        for (milliseconds, expected) in [(1, 80...120), (10, 8...10), (25, 3...4), (50, 1...2)] {
            var budget = budget()
            for _ in 0..<1000 { budget.handled(in: .milliseconds(Int64(milliseconds))) }
            #expect(expected.contains(budget.allowance), "\(milliseconds) ms: \(budget.allowance)")
        }
    }

    @Test func `Slow messages among many fast ones are not forgotten between two of them`() {
        var budget = budget()
        var most = 0
        for number in 0..<2000 {
            budget.handled(in: .milliseconds(number % 20 == 19 ? 2000 : 1))
            if number > 100 { most = max(most, budget.allowance) }
        }
        #expect(most <= 2)
    }

    @Test func `It asks for half of the allowance at a time, not for one message after the other`() {
        var budget = budget()
        for _ in 0..<1000 { budget.handled(in: .milliseconds(2)) }
        let allowance = budget.allowance
        #expect((45...55).contains(allowance))
        #expect(budget.room(waiting: allowance - 1, free: 0) == 0)
        #expect(budget.room(waiting: allowance / 2, free: 0) == allowance - allowance / 2)
    }

    @Test func `Without prefetch it asks for nothing while all handlers are busy, however fast they are`() {
        var budget = budget(batch: 1, prefetch: 0)
        for _ in 0..<1000 { budget.handled(in: .microseconds(1)) }
        #expect(budget.room(waiting: 0, free: 0) == 0)
        #expect(budget.room(waiting: 0, free: 1) > 0)
        #expect(budget.room(waiting: 1, free: 2) == 0)
    }

    @Test func `Once a message has waited in vain, it starts over`() {
        var budget = budget()
        for _ in 0..<1000 { budget.handled(in: .microseconds(1)) }
        budget.waited(for: .seconds(10))
        #expect(budget.room(waiting: 0, free: 0) == 0)
        #expect(budget.room(waiting: 0, free: 1) == 1)
        for _ in 0..<1000 { budget.handled(in: .microseconds(1)) }
        #expect(budget.room(waiting: 0, free: 0) == 400)
    }

    @Test(arguments: [Duration.zero, .seconds(Int64.max), .nanoseconds(1)]) func `No time is too short or too long`(
        time: Duration
    ) {
        var budget = budget(time, concurrency: 10_000, batch: .max, prefetch: .max)
        for measured in [TimeAmount.zero, .nanoseconds(-5), .nanoseconds(.max)] {
            budget.handled(in: measured)
            #expect(budget.room(waiting: 0, free: 1) > 0)
        }
    }
}
