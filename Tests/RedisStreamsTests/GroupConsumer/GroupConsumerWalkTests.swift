import NIOCore
import Testing

@testable import RedisStreams

private typealias Machine = GroupReaderStateMachine

@Suite struct GroupConsumerWalkTests {
    @Test(arguments: seeds)
    func `On a random walk claims happen on time, and each step follows from the replies before it`(
        seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        let interval = Int.random(in: 20...3000, using: &random)
        var machine = Machine(configuration(interval: .milliseconds(interval)), now: .at(0))
        var walk = Walk(interval: interval)
        for _ in 0..<500 {
            let step = machine.next(now: .at(walk.now))
            walk.check(step)
            guard random.chance(0.85) else {
                walk.fail(&machine, &random)
                continue
            }
            walk.perform(step, on: &machine, &random)
        }
    }
}

/// Checks each step, given the replies to those before.
private struct Walk {
    let interval: Int
    var now = 0
    var recoversAfter: StreamID? = .zero
    var needsGroup = false
    var cursor: StreamID = .zero
    /// The last claim has found messages, and the scan has not reached the end.
    var isFinding = false
    var hasClaimedLast = false
    var isClaiming = false
    var nextClaim = 0
    var hasServed = false

    init(interval: Int) {
        self.interval = interval
    }

    func check(_ step: Machine.Step) {
        switch step {
        case .createGroup(let isLost):
            #expect(needsGroup)
            #expect(isLost == hasServed)
        case .recover(let after):
            #expect(!needsGroup)
            #expect(after == recoversAfter)
        case .claim(let from):
            #expect(!needsGroup && recoversAfter == nil)
            #expect(from == cursor)
            #expect(!isClaiming, "one claim at a time")
            #expect(!(isFinding && hasClaimedLast), "reads and claims take turns")
            #expect(isFinding || now >= nextClaim, "too early")
        case .readNew(let block):
            #expect(!needsGroup && recoversAfter == nil)
            #expect((block == nil) == isFinding)
            guard let block else { return }
            #expect(block <= .seconds(5) && block >= .milliseconds(1))
            let untilClaim = isClaiming ? interval : nextClaim - now
            #expect(block <= .milliseconds(max(1, untilClaim)), "the next claim would be late")
        }
    }

    mutating func perform(_ step: Machine.Step, on machine: inout Machine, _ random: inout SeededGenerator) {
        switch step {
        case .createGroup:
            machine.createdGroup()
            forgetGroup()
        case .recover(let after):
            let last = random.chance(0.5) ? StreamID(milliseconds: after.milliseconds + 1) : nil
            machine.recovered(last: last)
            hasServed = true
            recoversAfter = last
        case .claim(let from):
            machine.claimSent()
            isClaiming = true
            // Mostly a read goes with it, and is answered after it.
            let read = random.chance(0.8) ? machine.next(now: .at(now)) : nil
            if let read { check(read) }
            claim(from: from, on: &machine, &random)
            if let read { perform(read, on: &machine, &random) }
        case .readNew(let block):
            let most = block.map { Int($0.wholeMilliseconds) } ?? 1
            now += Int.random(in: 0...most, using: &random)
            machine.readNew()
            hasClaimedLast = false
            hasServed = true
        }
    }

    private mutating func claim(
        from: StreamID,
        on machine: inout Machine,
        _ random: inout SeededGenerator
    ) {
        let next = random.chance(0.6) ? StreamID(milliseconds: from.milliseconds + 1) : .zero
        let isEmpty = random.chance(0.5)
        now += Int.random(in: 0...5, using: &random)
        machine.claimed(next: next, didWork: !isEmpty, now: .at(now))
        cursor = next
        isClaiming = false
        isFinding = next != .zero && !isEmpty
        hasClaimedLast = true
        hasServed = true
        nextClaim = now + (next == .zero ? interval : min(interval, 1000))
    }

    mutating func fail(_ machine: inout Machine, _ random: inout SeededGenerator) {
        let codes: [RedisError.Code] = [.noGroup, .groupExists, .connectionClosed, .timeout, .loading, .unblocked]
        let code = codes.randomElement(using: &random) ?? .noGroup
        _ = machine.failed(RedisError(code, "test"))
        isClaiming = false
        now += Int.random(in: 0...100, using: &random)
        switch code {
        case .noGroup: needsGroup = true
        case .groupExists: forgetGroup()
        case .connectionClosed, .timeout: recoversAfter = .zero
        default: break
        }
    }

    private mutating func forgetGroup() {
        needsGroup = false
        cursor = .zero
        isFinding = false
        hasClaimedLast = false
        isClaiming = false
    }
}
