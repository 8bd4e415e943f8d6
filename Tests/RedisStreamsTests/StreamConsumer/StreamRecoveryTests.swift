import Testing

@testable import RedisStreams

private typealias Machine = StreamConsumerStateMachine

/// What a stream consumer does when a stream no longer continues from its position.
@Suite struct StreamRecoveryTests {
    @Test func `It probes after an empty read, after failures, and at intervals, but not at the beginning`() throws {
        var machine = Machine(["a": .beginning, "b": .after(id("5-0"))])
        let read = [StreamOffset("a"), StreamOffset("b", after: id("5-0"))]
        expect(machine.next(), equals: .read(read))
        _ = try machine.read([])
        expect(machine.next(), equals: .probe([read[1]]))
        _ = machine.probed([:])
        expect(machine.next(), equals: .read(read))
        _ = machine.failed(RedisError(.connectionClosed, "lost"))
        expect(machine.next(), equals: .probe([read[1]]))
        _ = machine.probed([:])
        machine.tick()
        expect(machine.next(), equals: .read(read))
        machine.tick()
        expect(machine.next(), equals: .probe([read[1]]))
        machine.probesRefused()
        _ = try machine.read([])
        expect(machine.next(), equals: .read(read))
    }

    @Test(arguments: [
        (DiscontinuityPolicy.follow, "0-0"), (.latest, "5-0"), (.ignore, "100-0"), (.stop, "100-0"),
    ])
    func `The policy decides where to read a recreated stream`(policy: DiscontinuityPolicy, position: String) throws {
        var machine = Machine(["a": .after(id("100-0"))], recovery: .init(policy: policy))
        _ = try machine.read([])
        let outcome = machine.probed(["a": there(last: "5-0")])
        #expect(outcome.found == [Discontinuity(.regressed, stream: "a", position: id("100-0"), lastID: id("5-0"))])
        #expect(outcome.failure?.code == (policy == .stop ? .discontinuity : nil))
        #expect(outcome.moves == (policy == .ignore ? [] : [StreamOffset("a", after: id(position))]))
        expect(machine.next(), equals: .read([StreamOffset("a", after: id(position))]))
        // It reports the discontinuity once.
        _ = try machine.read([])
        expect(policy == .stop || machine.probed(["a": there(last: "5-0")]).found.isEmpty, equals: true)
    }

    @Test func `A stream that is missing is read from its beginning when it comes back`() throws {
        var machine = Machine(["a": .beginning])
        _ = try machine.read([messageBatch(of: "a", ["7-0"])])
        let outcome = machine.probed(["a": .missing])
        #expect(outcome.found == [Discontinuity(.missing, stream: "a", position: id("7-0"), lastID: .zero)])
        expect(machine.next(), equals: .read([StreamOffset("a")]))
        expect(machine.probed(["a": .missing]).found.isEmpty, equals: true)
    }

    @Test func `A stream that lost its latest entries is read from before the loss, without what was read`() throws {
        var machine = Machine(["a": .beginning])
        let clock = 1_700_000_000_000
        _ = try machine.read([messageBatch(of: "a", (0..<20).map { "\(clock + $0 * 1000)-0" })])
        // The last five are lost.
        let outcome = machine.probed(["a": there(last: "\(clock + 14_000)-0")])
        #expect(outcome.found.map(\.kind) == [.regressed])
        let target = StreamID(milliseconds: UInt64(clock + 3999), sequence: .max)
        expect(machine.next(), equals: .read([StreamOffset("a", after: target)]))
        let again = messageBatch(of: "a", ["\(clock + 11_000)-0", "\(clock + 12_000)-0", "\(clock + 14_500)-0"])
        _ = try machine.read([again])
        expect(machine.filteringSeen([again])[0].map(\.id), equals: [id("\(clock + 14_500)-0")])
    }

    @Test func `After a server lost an entry, the consumer goes back by the time to rewind`() throws {
        var machine = Machine(["a": .beginning], recovery: .init(rewind: .seconds(2)))
        _ = try machine.read([messageBatch(of: "a", ["7000-0", "7001-0", "9000-0"])])
        var probe = StreamObservation(
            length: 3,
            lastID: id("9500-0"),
            firstEntryID: id("7000-0"),
            lastEntryID: id("9500-0"),
            entriesAdded: 3,
            maxDeletedID: .zero
        )
        expect(machine.entriesToCheck(in: ["a": .there(probe)]), equals: [StreamOffset("a", after: id("9000-0"))])
        probe.absentIDs = [id("9000-0")]
        expect(machine.probed(["a": .there(probe)]).found.map(\.kind), equals: [.diverged])
        let target = StreamID(milliseconds: 6999, sequence: .max)
        expect(machine.next(), equals: .read([StreamOffset("a", after: target)]))
        let batch = messageBatch(of: "a", ["7000-0", "7001-0", "8000-0", "9500-0"])
        _ = try machine.read([batch])
        expect(machine.filteringSeen([batch])[0].map(\.id), equals: ids("8000-0", "9500-0"))
    }

    @Test func `A key of another type ends the reading of that stream, and the last one ends the loop`() {
        var machine = Machine(["a": .beginning, "b": .beginning])
        let error = RedisError(.wrongType, "no stream")
        expect(Reaction(machine.failed(error)), equals: .proceed)
        expect(machine.next(), equals: .probe([StreamOffset("a"), StreamOffset("b")]))
        let outcome = machine.probed(["a": .replaced, "b": .missing])
        #expect(outcome.found.map(\.kind) == [.replaced])
        #expect(outcome.failure == nil)
        expect(machine.next(), equals: .read([StreamOffset("b")]))
        expect(Reaction(machine.failed(error)), equals: .stop(.wrongType))
    }

    @Test func `If the probe finds no key of another type, the second WRONGTYPE ends the loop`() {
        var machine = Machine(["a": .beginning, "b": .beginning])
        let error = RedisError(.wrongType, "no stream")
        expect(Reaction(machine.failed(error)), equals: .proceed)
        _ = machine.probed(["a": there(last: "1-0"), "b": .missing])
        expect(Reaction(machine.failed(error)), equals: .stop(.wrongType))
    }

    @Test func `A saved position is loaded and probed, and without one the start is the one of else`() {
        var machine = Machine(["a": .resume("audit", else: .latest), "b": .resume("audit", else: .after(id("3-0")))])
        expect(machine.next(), equals: .restore("a", name: "audit"))
        machine.restored(nil, of: "a")
        expect(machine.next(), equals: .restore("b", name: "audit"))
        machine.restored(nil, of: "b")
        expect(machine.next(), equals: .findLast("a"))
        machine.foundLast(id("8-0"), of: "a")
        expect(
            machine.next(),
            equals: .read([StreamOffset("b", after: id("3-0")), StreamOffset("a", after: id("8-0"))])
        )

        var second = Machine(["a": .resume("audit")])
        second.restored(id("50-0"), of: "a")
        expect(second.next(), equals: .probe([StreamOffset("a", after: id("50-0"))]))
        expect(second.probed(["a": .missing]).found.map(\.kind), equals: [.missing])
        expect(second.next(), equals: .read([StreamOffset("a")]))
    }

    @Test(arguments: seeds) func `On a random walk no position goes back without an event`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var machine = Machine(["a": .beginning], recovery: .init(rewind: .milliseconds(5)))
        var last = StreamID.zero
        var isThere = false
        var position = StreamID.zero
        for _ in 0..<500 {
            switch machine.next() {
            case .read(let offsets):
                #expect(offsets[0].id >= position)
                position = offsets[0].id
                // What happens on the server.
                if random.chance(0.05) { (isThere, last) = (false, .zero) }
                if random.chance(0.05), last > .zero { last.milliseconds -= 1 }
                if random.chance(0.5) { (isThere, last) = (true, StreamID(milliseconds: last.milliseconds + 1)) }
                let hasNews = isThere && last > position
                _ = try machine.read(hasNews ? [messageBatch(of: "a", ["\(last)"])] : [])
                if hasNews { position = max(position, last) }
            case .probe(let offsets):
                #expect(offsets[0].id == position)
                let outcome = machine.probed(["a": isThere ? there(last: "\(last)") : .missing])
                for move in outcome.moves {
                    #expect(!outcome.found.isEmpty)
                    position = move.id
                }
                if isThere { #expect(position <= last) }
            default: Issue.record("the machine took an unexpected step")
            }
        }
    }
}

private func there(last: String) -> StreamProbe {
    .there(StreamObservation(length: 1, lastID: id(last), firstEntryID: id(last), lastEntryID: id(last)))
}

extension StreamConsumerStateMachine.Outcome {
    fileprivate var found: [Discontinuity] {
        events.compactMap { if case .discontinuity(let found) = $0 { found } else { nil } }
    }
}
