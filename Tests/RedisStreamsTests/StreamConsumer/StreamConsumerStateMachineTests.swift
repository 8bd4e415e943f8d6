import Testing

@testable import RedisStreams

private typealias Machine = StreamConsumerStateMachine

@Suite struct StreamConsumerStateMachineTests {
    @Test func `Streams with concrete positions are read at once`() {
        let machine = Machine(["b": .after(id("5-1")), "a": .beginning])
        let step = machine.next()
        #expect(step == .read([position("a", "0-0"), position("b", "5-1")]))
    }

    @Test func `A start at a time begins at the first id of its millisecond`() {
        let machine = Machine(["a": .time(.milliseconds(1000)), "b": .time(.zero), "c": .time(.seconds(-5))])
        let step = machine.next()
        let before = "999-\(UInt64.max)"
        #expect(step == .read([position("a", before), position("b", "0-0"), position("c", "0-0")]))
    }

    @Test func `The last id is asked for once per stream, and nothing is read before`() {
        var machine = Machine(["a": .latest, "b": .beginning, "c": .latest])
        let first = machine.next()
        let again = machine.next()
        #expect(first == .findLast("a"))
        #expect(again == first)
        machine.foundLast(id("7-0"), of: "a")
        let second = machine.next()
        #expect(second == .findLast("c"))
        machine.foundLast(.zero, of: "c")
        let third = machine.next()
        #expect(third == .read([position("b", "0-0"), position("a", "7-0"), position("c", "0-0")]))
    }

    @Test func `The position of each stream advances with the messages that were read from it`() throws {
        var machine = Machine(["a": .beginning, "b": .after(id("3-0"))])
        _ = try machine.read([messageBatch(of: "a", ["1-0", "2-0"])])
        let first = machine.next()
        #expect(first == .read([position("a", "2-0"), position("b", "3-0")]))
        _ = try machine.read([messageBatch(of: "b", ["4-0"]), messageBatch(of: "a", ["2-1"])])
        let second = machine.next()
        #expect(second == .read([position("a", "2-1"), position("b", "4-0")]))
        _ = try machine.read([])
        _ = machine.probed([:])
        let third = machine.next()
        #expect(third == second)
    }

    @Test(arguments: [
        messageBatch(of: "a", ["5-0"]), messageBatch(of: "a", ["100-0"]), messageBatch(of: "b", ["200-0"]),
    ])
    func `A reply with other entries than those asked for is an error, and no position goes back`(
        batch: MessageBatch
    ) throws {
        var machine = Machine(["a": .after(id("100-0"))])
        do {
            _ = try machine.read([batch])
            Issue.record("the reply was accepted")
        } catch {
            expect(Reaction(machine.failed(error)), equals: .stop(.unexpectedReply))
        }
        _ = try machine.read([messageBatch(of: "a", [])])
        _ = machine.probed([:])
        expect(machine.next(), equals: .read([position("a", "100-0")]))
    }

    @Test func `A server that is unreachable at the start ends the loop`() throws {
        for code in [RedisError.Code.connectionRefused, .connectTimeout, .hostNotFound, .connectionUnavailable] {
            var machine = Machine(["a": .beginning])
            let first = Reaction(machine.failed(RedisError(code, "away")))
            #expect(first == .stop(code))
            _ = try machine.read([])
            let second = Reaction(machine.failed(RedisError(code, "away")))
            #expect(second == .retry(code, attempt: 1))
        }
    }

    @Test func `Failures in a row are counted until a step succeeds`() {
        var machine = Machine(["a": .latest])
        let lost = RedisError(.connectionClosed, "lost")
        for attempt in 1...3 {
            let reaction = Reaction(machine.failed(lost))
            #expect(reaction == .retry(.connectionClosed, attempt: attempt))
        }
        machine.foundLast(.zero, of: "a")
        let fresh = Reaction(machine.failed(lost))
        #expect(fresh == .retry(.connectionClosed, attempt: 1))
    }

    @Test(arguments: allCodes) func `Retriable errors are retried, others end the loop`(code: RedisError.Code) throws {
        var machine = Machine(["a": .beginning])
        _ = try machine.read([])
        let reaction = Reaction(machine.failed(RedisError(code, "test")))
        // Somebody may run `CLIENT UNBLOCK`; the first time, the consumer reads on without a pause.
        let usual: Reaction = code == .unblocked ? .proceed : .retry(code, attempt: 1)
        #expect(reaction == (code.isRetriable ? usual : .stop(code)))
    }

    @Test func `A full batch of any stream means that there is more`() throws {
        var machine = Machine(["a": .beginning, "b": .beginning], size: BatchSize(2...8, bytes: 1000))
        let small = try machine.read([messageBatch(of: "a", ["1-0"])])
        #expect(!small)
        let full = try machine.read([messageBatch(of: "a", ["2-0"]), messageBatch(of: "b", ["1-0", "2-0"])])
        #expect(full)
        #expect(machine.count == 4)
        let half = try machine.read([messageBatch(of: "b", ["3-0", "4-0"])])
        #expect(!half)
        #expect(machine.count == 2)
        let none = try machine.read([])
        #expect(!none)
    }

    @Test(arguments: seeds) func `In random runs, positions only go up and equal what was read`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let keys: [StreamKey] = ["a", "b", "c"]
        var model: [StreamKey: StreamID] = [:]
        var starts: [StreamKey: StreamConsumer.Start] = [:]
        for key in keys { starts[key] = random.chance(0.5) ? .latest : .beginning }
        for (key, start) in starts where start == .beginning { model[key] = .zero }
        var machine = Machine(starts)
        for _ in 0..<200 {
            if random.chance(0.2) {
                _ = machine.failed(RedisError(.connectionClosed, "lost"))
                continue
            }
            switch machine.next() {
            case .findLast(let key):
                #expect(model[key] == nil)
                let last = StreamID(milliseconds: UInt64.random(in: 0...9, using: &random))
                machine.foundLast(last, of: key)
                model[key] = last
            case .read(let positions):
                let seen = Dictionary(uniqueKeysWithValues: positions.map { ($0.stream, $0.id) })
                #expect(seen == model)
                guard let key = keys.randomElement(using: &random), let last = model[key] else { continue }
                let next = StreamID(milliseconds: last.milliseconds + UInt64.random(in: 1...3, using: &random))
                _ = try machine.read([messageBatch(of: key, ["\(next)"])])
                model[key] = next
            case .probe: _ = machine.probed([:])
            default: Issue.record("the machine took an unexpected step")
            }
        }
    }
}

private func position(_ stream: StreamKey, _ last: String) -> StreamOffset {
    .init(stream, after: id(last))
}

/// The reaction of a state machine to a failure, in a form that can be compared.
enum Reaction: Equatable {
    case proceed
    case reconnect
    case retry(RedisError.Code, attempt: Int)
    case stop(RedisError.Code)

    init(_ reaction: FailureReaction) {
        switch reaction {
        case .proceed: self = .proceed
        case .reconnect: self = .reconnect
        case .retry(let error, let attempt): self = .retry(error.code, attempt: attempt)
        case .stop(let error): self = .stop(error.code)
        }
    }
}

/// All error codes.
let allCodes: [RedisError.Code] = [
    .invalidArgument, .invalidConfiguration, .hostNotFound, .connectionRefused, .connectTimeout, .tlsFailure,
    .connectionUnavailable, .clientShutDown, .cancelled, .connectionClosed, .timeout, .protocolViolation,
    .unexpectedReply, .discontinuity, .decodingFailed, .encodingFailed, .unsupportedByServer, .authenticationFailed,
    .permissionDenied, .wrongType, .noGroup, .groupExists, .unblocked, .loading, .busy, .outOfMemory, .misconfigured,
    .noReplicas, .readOnly, .masterDown, .clusterUnavailable, .redirected, .crossSlot, .transactionAborted,
    .noScript, .tooManyClients, .serverError, .unconfirmed,
]
