import NIOCore
import Testing

@testable import RedisStreams

@Suite struct RetryPolicyTests {
    @Test func `A fixed time is always the same, and immediately is zero`() {
        for failures in [1, 2, 100, Int.max] {
            #expect(RetryPolicy.fixed(.seconds(3)).delay(failures: failures, jitter: 1) == .seconds(3))
            #expect(RetryPolicy.immediately.delay(failures: failures, jitter: 1) == .zero)
        }
    }

    @Test(arguments: [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (9, 256), (10, 300), (1000, 300), (Int.max, 300)])
    func `An exponential time starts with the first one, doubles, and ends at the limit`(failures: Int, seconds: Int) {
        #expect(RetryPolicy.exponential().delay(failures: failures, jitter: 0) == .seconds(seconds))
    }

    @Test func `Jitter subtracts up to a half, also from the limit`() {
        let policy = RetryPolicy.exponential(from: .milliseconds(100), upTo: .seconds(1))
        #expect(policy.delay(failures: 2, jitter: 0.5) == .milliseconds(150))
        #expect(policy.delay(failures: 2, jitter: 1) == .milliseconds(100))
        #expect(policy.delay(failures: 50, jitter: 1) == .milliseconds(500))
    }

    @Test func `Doubling does not overflow with the largest limit`() {
        let policy = RetryPolicy.exponential(from: .nanoseconds(1), upTo: .seconds(30 * 86_400))
        let delay = policy.delay(failures: .max, jitter: 0)
        #expect(abs(delay.wholeMilliseconds - 30 * 86_400_000) <= 1)
    }

    @Test func `Times must be ascending and bounded`() {
        let wrong: [RetryPolicy] = [
            .fixed(.seconds(-1)), .fixed(.seconds(31 * 86_400)), .exponential(from: .zero),
            .exponential(from: .seconds(2), upTo: .seconds(1)), .exponential(upTo: .seconds(31 * 86_400)),
        ]
        for policy in wrong {
            #expect { try policy.validate() } throws: { ($0 as? RedisError)?.code == .invalidConfiguration }
        }
        let right: [RetryPolicy] = [
            .immediately, .fixed(.seconds(30 * 86_400)), .exponential(),
            .exponential(from: .seconds(1), upTo: .seconds(1)),
        ]
        for policy in right { #expect(throws: Never.self) { try policy.validate() } }
    }

    // MARK: The schedule

    @Test func `The schedule returns the earliest messages first, up to a limit, in ascending order of ids`() {
        var schedule = RetrySchedule()
        for (text, due) in [("3-0", 10), ("1-0", 20), ("2-0", 10), ("4-0", 30)] {
            schedule.add(id(text), due: .at(due))
        }
        #expect(schedule.next == .at(10))
        let due1 = schedule.takeDue(now: .at(9), atMost: 10)
        #expect(due1.isEmpty)
        let due2 = schedule.takeDue(now: .at(10), atMost: 10)
        #expect(due2 == ids("2-0", "3-0"))
        #expect(schedule.next == .at(20))
        let due3 = schedule.takeDue(now: .at(100), atMost: 1)
        #expect(due3 == ids("1-0"))
        let due4 = schedule.takeDue(now: .at(100), atMost: 1)
        #expect(due4 == ids("4-0"))
        #expect(schedule.next == nil)
        let due5 = schedule.takeDue(now: .at(100), atMost: 1)
        #expect(due5.isEmpty)
    }

    @Test func `The schedule holds ten thousand messages, and refuses more`() {
        var schedule = RetrySchedule()
        for number in 1...10_000 {
            guard schedule.add(StreamID(milliseconds: UInt64(number)), due: .at(10_000 - number)) else {
                Issue.record("no room for \(number)")
                return
            }
        }
        let isAdded = schedule.add(id("20000-0"), due: .at(0))
        #expect(!isAdded)
        let due7 = schedule.takeDue(now: .at(0), atMost: 10)
        #expect(due7 == ids("10000-0"))
        let added = schedule.add(id("20000-0"), due: .at(0))
        #expect(added)
    }

    @Test(arguments: seeds) func `On a random walk each message is returned once, when it is due`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var schedule = RetrySchedule()
        var model: [StreamID: Int] = [:]
        var now = 0
        for number in 1...300 {
            if random.chance(0.6) {
                let due = now + Int.random(in: 0...50, using: &random)
                model[StreamID(milliseconds: UInt64(number))] = due
                schedule.add(StreamID(milliseconds: UInt64(number)), due: .at(due))
            } else {
                now += Int.random(in: 0...20, using: &random)
                let due = schedule.takeDue(now: .at(now), atMost: 5)
                #expect(due == due.sorted() && due.count <= 5)
                let late = due.compactMap { model.removeValue(forKey: $0) }
                #expect(late.count == due.count && late.allSatisfy { $0 <= now })
                let isMoreDue = model.values.contains { $0 <= now }
                #expect(!isMoreDue || due.count == 5)
                #expect((late.max() ?? 0) <= (model.values.min() ?? .max), "the earliest first")
            }
            #expect(schedule.next == model.values.min().map { .at($0) })
        }
    }
}
