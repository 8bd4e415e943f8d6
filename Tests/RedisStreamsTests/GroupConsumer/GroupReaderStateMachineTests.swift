import NIOCore
import Testing

@testable import RedisStreams

private typealias Machine = GroupReaderStateMachine

@Suite struct GroupReaderStateMachineTests {
    @Test func `The own pending list comes first, page by page, then a claim scan, then new messages`() {
        var machine = Machine(configuration(interval: .seconds(2)), now: .at(0))
        let first = machine.next(now: .at(0))
        #expect(first == .recover(after: .zero))
        machine.recovered(last: id("5-0"))
        let second = machine.next(now: .at(0))
        #expect(second == .recover(after: id("5-0")))
        machine.recovered(last: nil)
        let third = machine.next(now: .at(0))
        #expect(third == .claim(from: .zero))
        machine.claimed(next: .zero, didWork: false, now: .at(0))
        let fourth = machine.next(now: .at(0))
        #expect(fourth == .readNew(block: .seconds(2)))
    }

    @Test func `Without a pending list the consumer reads only new messages`() {
        var configuration = GroupConsumer.Configuration()
        configuration.acknowledgement = .never
        var machine = Machine(configuration, now: .at(0))
        let first = machine.next(now: .at(0))
        #expect(first == .readNew(block: .seconds(5)))
        machine.recover()
        _ = machine.failed(RedisError(.connectionClosed, "lost"))
        let later = machine.next(now: .at(100_000))
        #expect(later == .readNew(block: .seconds(5)))
    }

    @Test func `With acknowledgement on delivery nothing is claimed, but the own pending list is recovered`() {
        var configuration = GroupConsumer.Configuration()
        configuration.acknowledgement = .onDelivery
        var machine = Machine(configuration, now: .at(0))
        let first = machine.next(now: .at(0))
        #expect(first == .recover(after: .zero))
        machine.recovered(last: nil)
        let later = machine.next(now: .at(100_000))
        #expect(later == .readNew(block: .seconds(5)))
    }

    @Test func `After a reply that is too large, smaller reads follow`() {
        var machine = Machine(GroupConsumer.Configuration(), now: .at(0))
        #expect(machine.count == 100)
        machine.recovered(last: nil)
        for expected in [1, 1, 1, 1, 1, 1] {
            guard case .retry = machine.failed(RedisError(.replyTooLarge, "large")) else {
                Issue.record("the consumer stops at \(machine.count) messages")
                return
            }
            #expect(machine.count == expected)
            let next = machine.next(now: .at(0))
            #expect(next == .recover(after: .zero))
        }
        // The recovery finds out which entry is too large.
        let last = Reaction(machine.failed(RedisError(.replyTooLarge, "large")))
        #expect(last == .retry(.replyTooLarge, attempt: 7))
        #expect(machine.count == 1)
    }

    @Test func `Without a lease nothing is claimed`() {
        var configuration = GroupConsumer.Configuration()
        configuration.claimIdleTime = nil
        var machine = Machine(configuration, now: .at(0))
        machine.recovered(last: nil)
        let step = machine.next(now: .at(1_000_000))
        #expect(step == .readNew(block: .seconds(5)))
    }

    @Test func `A read waits no longer than until the next claim scan`() {
        var machine = Machine(configuration(interval: .seconds(3)), now: .at(0))
        machine.recovered(last: nil)
        machine.claimed(next: .zero, didWork: false, now: .at(1000))
        let blocks = [1000, 2500, 3999, 4000].map { machine.next(now: .at($0)) }
        #expect(blocks[0] == .readNew(block: .seconds(3)))
        #expect(blocks[1] == .readNew(block: .milliseconds(1500)))
        #expect(blocks[2] == .readNew(block: .milliseconds(1)))
        #expect(blocks[3] == .claim(from: .zero))
    }

    @Test func `A read never asks the server to wait for less than a millisecond`() {
        var machine = Machine(configuration(interval: .seconds(3)), now: .at(0))
        machine.recovered(last: nil)
        machine.claimed(next: .zero, didWork: false, now: .at(0))
        let step = machine.next(now: .uptimeNanoseconds(2_999_999_999))
        #expect(step == .readNew(block: .milliseconds(1)))
    }

    @Test func `A read waits as long as configured if the next claim scan is far away`() {
        var machine = Machine(configuration(interval: .seconds(60)), now: .at(0))
        machine.recovered(last: nil)
        machine.claimed(next: .zero, didWork: false, now: .at(0))
        let step = machine.next(now: .at(0))
        #expect(step == .readNew(block: .seconds(5)))
    }

    @Test func `A read does not wait for a claim in flight, and may wait on the server itself`() {
        for (interval, block) in [(Duration.seconds(3), Duration.seconds(3)), (.seconds(60), .seconds(5))] {
            var machine = Machine(configuration(interval: interval), now: .at(0))
            machine.recovered(last: nil)
            let claim = machine.next(now: .at(0))
            #expect(claim == .claim(from: .zero))
            machine.claimSent()
            let read = machine.next(now: .at(0))
            #expect(read == .readNew(block: block))
            let another = machine.next(now: .at(100_000))
            #expect(another == read, "one claim at a time")
        }
    }

    @Test func `While a claim scan finds messages, claims and reads take turns, and the cursor moves on`() {
        var machine = Machine(configuration(interval: .seconds(1)), now: .at(0))
        machine.recovered(last: nil)
        machine.claimed(next: id("10-0"), didWork: true, now: .at(0))
        let read = machine.next(now: .at(0))
        #expect(read == .readNew(block: nil), "a read within a claim scan does not wait")
        machine.readNew()
        let claim = machine.next(now: .at(0))
        #expect(claim == .claim(from: id("10-0")))
        machine.claimSent()
        let behind = machine.next(now: .at(0))
        #expect(behind == .readNew(block: nil), "nor does one after a claim that most likely finds messages")
        machine.claimed(next: id("20-0"), didWork: true, now: .at(5000))
        machine.readNew()
        let next = machine.next(now: .at(5000))
        #expect(next == .claim(from: id("20-0")))
        machine.claimed(next: .zero, didWork: true, now: .at(6000))
        let rest = machine.next(now: .at(6000))
        #expect(rest == .readNew(block: .seconds(1)), "the next claim scan is a whole interval away")
        machine.readNew()
        let scan = machine.next(now: .at(7000))
        #expect(scan == .claim(from: .zero), "the next scan starts at zero")
    }

    @Test(arguments: [(200, 200), (1000, 1000), (4000, 1000)])
    func `A claim scan that finds nothing continues after a second at most`(interval: Int, pause: Int) {
        var machine = Machine(configuration(interval: .milliseconds(interval)), now: .at(0))
        machine.recovered(last: nil)
        machine.claimed(next: id("10-0"), didWork: false, now: .at(0))
        let read = machine.next(now: .at(0))
        #expect(read == .readNew(block: .milliseconds(pause)))
        let early = machine.next(now: .at(pause - 1))
        #expect(early == .readNew(block: .milliseconds(1)))
        let claim = machine.next(now: .at(pause))
        #expect(claim == .claim(from: id("10-0")))
    }

    @Test func `Jitter shortens the interval, by a quarter at most`() {
        for (jitter, milliseconds) in [(0.0, 4000), (0.5, 3500), (1.0, 3000)] {
            var machine = Machine(configuration(interval: .seconds(4)), now: .at(0), jitter: jitter)
            machine.recovered(last: nil)
            machine.claimed(next: .zero, didWork: false, now: .at(0))
            let read = machine.next(now: .at(0))
            #expect(read == .readNew(block: .milliseconds(milliseconds)))
            let claim = machine.next(now: .at(milliseconds))
            #expect(claim == .claim(from: .zero))
        }
    }

    @Test(arguments: [(10, 10), (100, 100), (5000, 100)])
    func `A claim asks for a hundred messages at most`(batchSize: Int, count: Int) {
        var configuration = GroupConsumer.Configuration()
        configuration.batchSize = batchSize
        let machine = Machine(configuration, now: .at(0))
        #expect(machine.count == batchSize)
        #expect(machine.claimCount == count)
    }

    @Test func `Reads ask for fewer messages if these are large, and for full batches again if they are small`() {
        var configuration = GroupConsumer.Configuration()
        configuration.prefetchBytes = 4000
        var machine = Machine(configuration, now: .at(0))
        machine.readNew(100, bytes: 10_000)
        #expect(machine.count == 10, "a quarter of the bytes that may wait")
        #expect(machine.claimCount == 10)
        machine.readNew(10, bytes: 20_000)
        #expect(machine.count == 1)
        for expected in [2, 4, 8] {
            machine.readNew(machine.count, bytes: 10 * machine.count)
            #expect(machine.count == expected)
        }
        machine.readNew(1, bytes: 10)
        #expect(machine.count == 100, "the batch was not full, and its message was small")
    }

    @Test func `The claim interval follows from the lease`() {
        let expected: [(Duration, Duration)] = [
            (.seconds(60), .seconds(5)), (.seconds(20), .seconds(5)), (.seconds(8), .seconds(2)),
            (.seconds(2), .milliseconds(500)), (.milliseconds(10), .milliseconds(20)),
        ]
        for (idle, interval) in expected {
            var configuration = GroupConsumer.Configuration()
            configuration.claimIdleTime = idle
            #expect(configuration.effectiveClaimInterval == interval)
        }
        var configuration = GroupConsumer.Configuration()
        configuration.claimInterval = .seconds(7)
        #expect(configuration.effectiveClaimInterval == .seconds(7))
    }

    @Test func `If messages may have been lost on the way, the consumer recovers its pending list`() {
        var machine = Machine(configuration(interval: .seconds(1)), now: .at(0))
        machine.recovered(last: nil)
        machine.claimed(next: id("10-0"), didWork: true, now: .at(0))
        machine.recover()
        let recovery = machine.next(now: .at(0))
        #expect(recovery == .recover(after: .zero))
        machine.recovered(last: nil)
        let next = machine.next(now: .at(0))
        #expect(next == .readNew(block: nil), "the claim scan continues at its cursor")
    }
}

// MARK: Recovery

@Suite struct GroupReaderRecoveryTests {
    @Test func `A consumer has recovered once it has read its pending list to the end, and remains so`() {
        var machine = Machine(GroupConsumer.Configuration(), now: .at(0))
        machine.recovered(last: id("5-0"))
        var hasRecovered = machine.hasRecovered
        #expect(!hasRecovered)
        machine.recovered(last: nil)
        hasRecovered = machine.hasRecovered
        #expect(hasRecovered)
        machine.recover()
        hasRecovered = machine.hasRecovered
        #expect(hasRecovered, "messages found from now on were delivered since then")
    }

    @Test func `A recovery that is interrupted starts at the beginning`() {
        var machine = Machine(GroupConsumer.Configuration(), now: .at(0))
        machine.recovered(last: id("5-0"))
        _ = machine.failed(RedisError(.connectionClosed, "lost"))
        let step = machine.next(now: .at(0))
        #expect(step == .recover(after: .zero))
    }

    @Test func `Without the safeguard, it never recovers again`() {
        var configuration = configuration(interval: .seconds(1))
        configuration.safeguards.remove(.recovery)
        var machine = Machine(configuration, now: .at(0))
        machine.recovered(last: nil)
        _ = machine.failed(RedisError(.connectionClosed, "lost"))
        let step = machine.next(now: .at(0))
        #expect(step == .claim(from: .zero))
    }
}

// MARK: Failures

@Suite struct GroupReaderFailureTests {
    @Test func `A missing group is created at once, and the recovery goes on`() {
        var machine = Machine(GroupConsumer.Configuration(), now: .at(0))
        let reaction = Reaction(machine.failed(noGroup))
        #expect(reaction == .proceed)
        let step = machine.next(now: .at(0))
        #expect(step == .createGroup(isLost: false))
        machine.createdGroup()
        let next = machine.next(now: .at(0))
        #expect(next == .recover(after: .zero))
    }

    @Test func `A group that is deleted while consuming counts as lost`() {
        var machine = Machine(GroupConsumer.Configuration(), now: .at(0))
        machine.recovered(last: nil)
        _ = machine.failed(noGroup)
        let step = machine.next(now: .at(0))
        #expect(step == .createGroup(isLost: true))
    }

    @Test func `If a lost group is not created again, its loss is final, unlike a missing group at the start`() {
        var configuration = GroupConsumer.Configuration()
        configuration.groupLoss = .fail
        var machine = Machine(configuration, now: .at(0))
        let start = [Reaction(machine.failed(noGroup)), Reaction(machine.failed(noGroup))]
        #expect(start == [.proceed, .retry(.noGroup, attempt: 1)])
        machine.createdGroup()
        machine.readNew(1)
        let loss = [Reaction(machine.failed(noGroup)), Reaction(machine.failed(noGroup))]
        #expect(loss == [.proceed, .stop(.noGroup)], "the second error is that of the step which creates the group")
    }

    @Test func `A group that another consumer has created needs no creation`() {
        var machine = Machine(GroupConsumer.Configuration(), now: .at(0))
        _ = machine.failed(noGroup)
        let reaction = Reaction(machine.failed(RedisError(.groupExists, "test")))
        #expect(reaction == .proceed)
        let step = machine.next(now: .at(0))
        #expect(step == .recover(after: .zero))
    }

    @Test(arguments: [true, false]) func `In a new group, the claim scan starts at the beginning`(isOther: Bool) {
        var machine = Machine(configuration(interval: .seconds(1)), now: .at(0))
        machine.recovered(last: nil)
        machine.claimed(next: id("10-0"), didWork: true, now: .at(0))
        _ = machine.failed(noGroup)
        if isOther { _ = machine.failed(RedisError(.groupExists, "test")) } else { machine.createdGroup() }
        let read = machine.next(now: .at(0))
        #expect(read == .readNew(block: .seconds(1)), "a new group has no pending messages yet")
        let step = machine.next(now: .at(1000))
        #expect(step == .claim(from: .zero))
    }

    @Test func `A group that is deleted again and again is not created without a pause`() {
        var machine = Machine(GroupConsumer.Configuration(), now: .at(0))
        let expected: [Reaction] = [.proceed, .retry(.noGroup, attempt: 1), .retry(.noGroup, attempt: 2)]
        for reaction in expected {
            let actual = Reaction(machine.failed(noGroup))
            #expect(actual == reaction)
            let step = machine.next(now: .at(0))
            #expect(step == .createGroup(isLost: false))
            machine.createdGroup()
        }
        machine.readNew(1)
        let fresh = Reaction(machine.failed(noGroup))
        #expect(fresh == .proceed)
    }

    @Test(arguments: [RedisError.Code.connectionClosed, .timeout])
    func `After a reply that may have been lost it recovers its pending list`(code: RedisError.Code) {
        var machine = Machine(configuration(interval: .seconds(1)), now: .at(0))
        machine.recovered(last: nil)
        machine.claimed(next: .zero, didWork: false, now: .at(0))
        let reaction = Reaction(machine.failed(RedisError(code, "lost")))
        #expect(reaction == .retry(code, attempt: 1))
        let step = machine.next(now: .at(0))
        #expect(step == .recover(after: .zero))
    }

    @Test func `Failures in a row are counted until a read succeeds`() {
        var machine = Machine(GroupConsumer.Configuration(), now: .at(0))
        for attempt in 1...3 {
            let reaction = Reaction(machine.failed(RedisError(.loading, "test")))
            #expect(reaction == .retry(.loading, attempt: attempt))
        }
        // An answer without messages is no success yet.
        machine.recovered(last: id("1-0"))
        machine.claimed(next: .zero, didWork: false, now: .at(0))
        machine.readNew()
        let still = Reaction(machine.failed(RedisError(.loading, "test")))
        #expect(still == .retry(.loading, attempt: 4))
        machine.readNew(hasWaited: true)
        let fresh = Reaction(machine.failed(RedisError(.loading, "test")))
        #expect(fresh == .retry(.loading, attempt: 1))
    }

    @Test func `If others always create the group first, the consumer does not retry without a pause`() {
        var machine = Machine(GroupConsumer.Configuration(), now: .at(0))
        let exists = RedisError(.groupExists, "test")
        let reactions = (0..<4).map { _ in Reaction(machine.failed(exists)) }
        let paced: [Reaction] = [.retry(.groupExists, attempt: 1), .retry(.groupExists, attempt: 2)]
        #expect(reactions == [.proceed, .proceed] + paced)
    }

    @Test func `After two replies were lost with their connections, the next ones are smaller`() {
        var machine = Machine(GroupConsumer.Configuration(), now: .at(0))
        let lost = RedisError(.connectionClosed, "lost", mayHaveExecuted: true)
        var counts: [Int] = []
        for _ in 0..<5 {
            _ = machine.failed(lost)
            counts.append(machine.count)
        }
        #expect(counts == [100, 50, 50, 25, 25])
        machine.readNew(1)
        _ = machine.failed(lost)
        _ = machine.failed(RedisError(.connectionRefused, "away"))
        #expect(machine.count == 25, "an unreachable server has not refused to send")
    }

    @Test func `An empty read long before its time is a failure only if it happens again`() {
        var machine = Machine(GroupConsumer.Configuration(), now: .at(0))
        let ends = (0..<3).map { _ in machine.readEndedEarly() }
        #expect(ends == [false, true, true])
        machine.readNew(1)
        let fresh = machine.readEndedEarly()
        #expect(!fresh)
    }

    @Test func `A claim scan whose cursor does not go forward ends, and one without end pauses`() {
        var machine = Machine(configuration(interval: .seconds(1)), now: .at(0))
        machine.recovered(last: nil)
        machine.claimed(next: id("10-0"), didWork: true, now: .at(0))
        machine.claimed(next: id("10-0"), didWork: true, now: .at(0))
        var step = machine.next(now: .at(0))
        #expect(step == .readNew(block: .seconds(1)), "the scan has ended")
        for number in 1...1000 {
            machine.claimed(next: StreamID(milliseconds: UInt64(number)), didWork: true, now: .at(0))
            machine.readNew()
        }
        step = machine.next(now: .at(0))
        #expect(step == .readNew(block: .milliseconds(10)))
        step = machine.next(now: .at(10))
        #expect(step == .claim(from: id("1000-0")))
        machine.readNew(1)
        machine.claimed(next: id("1001-0"), didWork: true, now: .at(10))
        machine.readNew()
        step = machine.next(now: .at(10))
        #expect(step == .claim(from: id("1001-0")), "a scan that brings messages continues at once")
    }

    @Test func `A page of the pending list that does not go forward is the last one`() {
        var machine = Machine(GroupConsumer.Configuration(), now: .at(0))
        machine.recovered(last: id("5-0"))
        machine.recovered(last: id("5-0"))
        #expect(machine.hasRecovered == true)
        machine.recover()
        for number in 1...1001 { machine.recovered(last: StreamID(milliseconds: UInt64(number))) }
        #expect(machine.pauseBeforeRecovery == .milliseconds(10), "a server that always has one more page")
        machine.readNew(1)
        #expect(machine.pauseBeforeRecovery == nil)
    }

    @Test func `After messages were returned, nothing is claimed for a while`() {
        var machine = Machine(configuration(interval: .seconds(1)), now: .at(0))
        machine.recovered(last: nil)
        machine.holdClaims(until: .at(3000))
        var step = machine.next(now: .at(2500))
        #expect(step == .readNew(block: .milliseconds(500)))
        // The reply to a step in flight does not change that.
        machine.claimed(next: id("9-0"), didWork: true, now: .at(2600))
        step = machine.next(now: .at(2600))
        #expect(step == .readNew(block: .seconds(1)))
        step = machine.next(now: .at(3600))
        #expect(step == .claim(from: id("9-0")))
    }

    @Test func `A read waits for a quarter of the lease at most`() {
        var configuration = GroupConsumer.Configuration()
        configuration.claimIdleTime = .seconds(2)
        configuration.claimInterval = .seconds(60)
        var machine = Machine(configuration, now: .at(0))
        machine.recovered(last: nil)
        machine.claimed(next: .zero, didWork: false, now: .at(0))
        let step = machine.next(now: .at(0))
        #expect(step == .readNew(block: .milliseconds(500)))
    }

    @Test(arguments: [RedisError.Code.connectionRefused, .connectTimeout, .hostNotFound, .connectionUnavailable])
    func `A server that cannot be reached is an error at the start, and waited for later`(code: RedisError.Code) {
        var machine = Machine(GroupConsumer.Configuration(), now: .at(0))
        let start = Reaction(machine.failed(RedisError(code, "away")))
        #expect(start == .stop(code))
        machine.recovered(last: nil)
        let later = Reaction(machine.failed(RedisError(code, "away")))
        #expect(later == .retry(code, attempt: 1))
    }

    @Test func `A claim whose connection is lost is sent again`() {
        var machine = Machine(configuration(interval: .seconds(1)), now: .at(0))
        machine.recovered(last: nil)
        machine.claimSent()
        _ = machine.failed(RedisError(.connectionClosed, "lost"))
        machine.recovered(last: nil)
        let step = machine.next(now: .at(0))
        #expect(step == .claim(from: .zero))
    }

    @Test(arguments: allCodes) func `Each code has its reaction`(code: RedisError.Code) {
        var machine = Machine(GroupConsumer.Configuration(), now: .at(0))
        machine.recovered(last: nil)
        let reaction = Reaction(machine.failed(RedisError(code, "test")))
        switch code {
        case .noGroup, .groupExists: #expect(reaction == .proceed)
        default: #expect(reaction == (code.isRetriable ? .retry(code, attempt: 1) : .stop(code)))
        }
    }
}

let noGroup = RedisError(.noGroup, "test")

func configuration(interval: Duration) -> GroupConsumer.Configuration {
    var configuration = GroupConsumer.Configuration()
    configuration.claimInterval = interval
    return configuration
}

extension NIODeadline {
    /// A time in milliseconds after the start.
    static func at(_ milliseconds: Int) -> NIODeadline {
        .uptimeNanoseconds(UInt64(milliseconds) * 1_000_000)
    }
}
