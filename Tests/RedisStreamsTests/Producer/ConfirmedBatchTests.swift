import Testing

@testable import RedisStreams

@Suite struct ConfirmedBatchTests {
    private static let wait = ConfirmationCommand(replicas: 2, limit: .seconds(1))
    private static let aof = ConfirmationCommand(
        needsFile: true,
        isLocal: true,
        replicas: 1,
        limit: .seconds(1)
    )
    private static let lost = RedisError(.connectionClosed, "The connection was closed.", mayHaveExecuted: true)
    private static let moved = RedisError(.slotMoving, "The stream has moved.")

    private func batch(_ count: Int, _ command: ConfirmationCommand = wait) -> ConfirmedBatch<Int> {
        ConfirmedBatch(Array(1...count), command)
    }

    private func added(_ numbers: ClosedRange<Int>) -> [Result<StreamID, RedisError>] {
        numbers.map { .success(id("\($0)-0")) }
    }

    private func error(_ outcome: Result<StreamID, RedisError>?) -> RedisError? {
        guard case .failure(let error) = outcome else { return nil }
        return error
    }

    @Test(arguments: [2, 3])
    func `A batch that enough replicas have is sent`(replicas: Int) throws {
        var batch = batch(2)
        let step = batch.answered(added(1...2), .success(.init(replicas: replicas)))
        #expect(try step.outcomes.map { try $0.outcome.get() } == [id("1-0"), id("2-0")])
        #expect(step.outcomes.map(\.item) == [1, 2])
        #expect(step.keepsConnection)
        #expect(batch.unsent.isEmpty)
    }

    @Test(arguments: [0, 1])
    func `A message that too few replicas have fails with its id, and must not be sent again`(replicas: Int) {
        var batch = batch(2)
        let step = batch.answered(added(1...2), .success(.init(replicas: replicas)))
        let errors = step.outcomes.map { error($0.outcome) }
        #expect(errors.map { $0?.code } == [.unconfirmed, .unconfirmed])
        #expect(errors.map { $0?.unconfirmedEntry?.id } == [id("1-0"), id("2-0")])
        #expect(errors[0]?.unconfirmedEntry?.confirmedReplicas == replicas)
        #expect(errors[0]?.unconfirmedEntry?.requestedReplicas == 2)
        #expect(errors[0]?.unconfirmedEntry?.isSavedLocally == nil)
        #expect(errors[0]?.mayHaveExecuted == true)
        #expect(errors[0]?.isRetriable == false)
        // With one, the producer would accept no more messages.
        #expect(errors[0]?.serverCode == nil)
        #expect(errors[0]?.message.contains("1-0 was added, but \(replicas) of 2 replicas") == true)
        #expect(step.keepsConnection)
        #expect(batch.unsent.isEmpty)
    }

    @Test func `If the confirmation is lost, the message was added, and who has it is unknown`() {
        var batch = batch(1)
        let step = batch.answered(added(1...1), .failure(Self.lost))
        let failure = error(step.outcomes.first?.outcome)
        #expect(failure?.unconfirmedEntry?.id == id("1-0"))
        #expect(failure?.unconfirmedEntry?.confirmedReplicas == nil)
        #expect(failure?.message.contains("unknown: The connection was closed.") == true)
        #expect(!step.keepsConnection)
    }

    @Test func `A message that was not added keeps its own error`() {
        var batch = batch(2)
        let full = RedisError(.outOfMemory, "Full.")
        let step = batch.answered(added(1...1) + [.failure(full)], .success(.init(replicas: 2)))
        #expect(error(step.outcomes[0].outcome) == nil)
        #expect(error(step.outcomes[1].outcome)?.code == .outOfMemory)
        #expect(!step.keepsConnection, "the server may not be the master any more")
        #expect(batch.unsent.isEmpty)
    }

    @Test func `What the old node of a stream refuses is sent again in order, what it added is confirmed by it`() {
        var batch = batch(4)
        let replies = added(1...2) + [.failure(Self.moved), .failure(Self.moved)]
        let first = batch.answered(replies, .success(.init(replicas: 1)))
        #expect(first.outcomes.map(\.item) == [1, 2])
        #expect(first.outcomes.map { error($0.outcome)?.unconfirmedEntry?.confirmedReplicas } == [1, 1])
        #expect(first.redirection?.code == .slotMoving)
        #expect(!first.keepsConnection)
        #expect(batch.unsent == [3, 4])
        let second = batch.answered(added(3...4), .success(.init(replicas: 2)))
        #expect(second.outcomes.map { error($0.outcome) == nil } == [true, true])
        #expect(second.redirection == nil)
        #expect(batch.unsent.isEmpty)
    }

    @Test func `A batch follows its stream five times`() {
        var batch = batch(1)
        for _ in 1...5 {
            let step = batch.answered([.failure(Self.moved)], .success(.init(replicas: 2)))
            #expect(step.outcomes.isEmpty)
            #expect(batch.unsent == [1])
        }
        let last = batch.answered([.failure(Self.moved)], .success(.init(replicas: 2)))
        #expect(error(last.outcomes.first?.outcome)?.code == .slotMoving)
        #expect(batch.unsent.isEmpty)
    }

    @Test func `The file of the server itself counts apart from those of replicas`() {
        for (replicas, isLocal) in [(1, true), (1, false), (0, true), (2, false)] {
            var batch = batch(1, Self.aof)
            let confirmed = ConfirmationCommand.Confirmed(replicas: replicas, isLocal: isLocal)
            let failure = error(batch.answered(added(1...1), .success(confirmed)).outcomes.first?.outcome)
            #expect((failure == nil) == (replicas == 1 && isLocal))
            guard let failure else { continue }
            #expect(failure.unconfirmedEntry?.isSavedLocally == isLocal)
            #expect(failure.command == "WAITAOF")
        }
    }

    @Test func `A batch that cannot be sent has no messages left`() {
        var batch = batch(2)
        #expect(batch.abandoned() == [1, 2])
        #expect(batch.unsent.isEmpty)
    }

    static let refused: [StreamProducer.Confirmation] = [
        .replicas(0, within: .seconds(1)), .replicas(-1, within: .seconds(1)), .replicas(1, within: .zero),
        .replicas(1, within: .microseconds(999)), .replicas(1, within: .milliseconds(60_001)),
        .appendOnlyFile(local: false, replicas: 0, within: .seconds(1)),
        .appendOnlyFile(local: true, replicas: -1, within: .seconds(1)),
        .appendOnlyFile(local: true, replicas: 0, within: .seconds(61)),
    ]

    @Test(arguments: refused.indices)
    func `A confirmation by nobody, or without a time limit, is refused`(index: Int) {
        #expect(throws: RedisError.self) { try Self.refused[index].validate() }
    }

    @Test func `The server's own file is enough of a confirmation, and so is one replica`() throws {
        try StreamProducer.Confirmation.appendOnlyFile(local: true, replicas: 0, within: .milliseconds(1)).validate()
        try StreamProducer.Confirmation.replicas(1, within: .seconds(60)).validate()
        try StreamProducer.Confirmation.reply.validate()
    }
}
