import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// Entries that are added when a message is acknowledged: those that a handler emits, and dead letters.
@Suite(.limitedTime) struct PublicationTests {
    @Test func `Emitted entries are added in the step in which their message is acknowledged`() async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let gate = Gate()
            let running = Task {
                try await consumer.run { message, context in
                    await gate.wait()
                    try context.emit(["a": "1", "b": "2"], to: "out")
                    try context.emit(["c": "3"], to: "other", maxLength: 100)
                }
            }
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            gate.open()
            let step = call(
                .publish,
                targets: ["out", "other"],
                ["1-0", "2", "", "4", "a", "1", "b", "2", "3", "100", "2", "c", "3"]
            )
            await play.clock.advance(by: .milliseconds(1)) {
                await shared.expect(step, answer: array([bulk("7-0"), bulk("8-0")]))
            }
            await play.clock.calmDown()
            #expect(consumer.counters.acknowledged == 1)
            await play.end(running)
        }
    }

    @Test func `A handler that throws, or whose message was lost, adds no entries`() async throws {
        let play = GroupPlay { $0.retry = .fixed(.seconds(2)) }
        try await play.running { consumer in
            let gate = Gate()
            let begun = Journal<String>()
            let running = Task {
                try await consumer.run { message, context in
                    try context.emit(["a": "1"], to: "out")
                    begun.record(message.name)
                    await gate.wait()
                    if message.name == "2-0" { throw Failed() }
                }
            }
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew())
            _ = await begun.wait(for: 1)
            await play.clock.advance(by: .seconds(10))
            await shared.expect(renew("1-0", "2-0"), answer: renewed(others: ["1-0"]))
            await shared.expectSnapshot()
            _ = await play.events.wait(for: 1)
            gate.open()
            _ = await play.events.wait(for: 2)
            await play.clock.advance(by: .milliseconds(1)) {
                #expect(await shared.nextCommand()?.prefix(2) == ["EVALSHA", Script.requeue.sha1])
            }
            shared.send("*0\r\n")
            await play.end(running)
        }
    }

    @Test func `Entries that the server refuses count as a failure of the handler`() async throws {
        let play = GroupPlay { $0.retry = .fixed(.seconds(2)) }
        try await play.running { consumer in
            let gate = Gate()
            let running = Task {
                try await consumer.run { message, context in
                    await gate.wait()
                    try context.emit(["a": "1"], to: "text")
                }
            }
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            gate.open()
            await play.clock.advance(by: .milliseconds(1)) {
                #expect(await shared.nextCommand()?.prefix(2) == ["EVALSHA", Script.publish.sha1])
            }
            shared.send("-WRONGTYPE The output goes to a key that holds no stream\r\n")
            guard case .retrying(_, failures: 1, after: .seconds(2)) = await play.events.wait(for: 1)[0] else {
                Issue.record("the failure was not reported")
                return
            }
            await play.clock.advance(by: .milliseconds(1)) {
                let command = await shared.nextCommand() ?? []
                #expect(command.prefix(2) == ["EVALSHA", Script.requeue.sha1])
                #expect(command.last == "1000")
            }
            shared.send("*0\r\n")
            #expect(consumer.counters.failures == 1)
            await play.end(running)
        }
    }

    // MARK: Dead letters

    @Test func `After its last attempt a message becomes a dead letter, in one step`() async throws {
        let play = GroupPlay { $0.deadLetter = DeadLetter("orders:dead", maxAttempts: 3, maxLength: 500) }
        try await play.running { consumer in
            let running = Task { try await consumer.run { _ in throw Failed() } }
            let shared = play.shared
            let server = await play.nextConnection()
            await server.expect(recoveryPage(), answer: pending(("1-0", 2000)))
            await server.expect(reclaim("1-0"), answer: reclaimed([("1-0", 2001)]))
            await server.expectSnapshot()
            let command = await play.clock.advance(by: .milliseconds(1)) { await shared.nextCommand() } ?? []
            expectDeadLetter(command, limit: "500", attempts: "3", error: "Failed", reason: "Failed 3 times.")
            shared.send(array([bulk("7-0")]))
            guard
                case .deadLettered(let dead, let deadLetterEntry, "Failed 3 times.") = await play.events.wait(for: 1)[0]
            else {
                Issue.record("the dead letter was not reported")
                return
            }
            #expect(dead == id("1-0"))
            #expect(deadLetterEntry == id("7-0"))
            #expect(consumer.counters.deadLettered == 1)
            #expect(consumer.counters.acknowledged == 1)
            #expect(consumer.counters.failures == 1)
            await play.end(running)
        }
    }

    @Test func `A rejected message becomes a dead letter at once`() async throws {
        let play = GroupPlay { $0.deadLetter = DeadLetter("orders:dead") }
        try await play.running { consumer in
            let gate = Gate()
            let running = Task {
                try await consumer.run { _ in
                    await gate.wait()
                    throw Reject("no such customer")
                }
            }
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0")))
            await server.expect(readNew())
            gate.open()
            let command = await play.clock.advance(by: .milliseconds(1)) { await shared.nextCommand() } ?? []
            expectDeadLetter(command, attempts: "1", error: "Reject", reason: "no such customer")
            shared.send(array([bulk("7-0")]))
            await play.end(running)
        }
    }

    @Test(arguments: [(5000, "5", "unknown"), (1005, "1", "crash")])
    func `A message with too many failures or crashes becomes one before it is handled again`(
        count: Int,
        attempts: String,
        error: String
    ) async throws {
        let play = GroupPlay { $0.deadLetter = DeadLetter("orders:dead") }
        try await play.running { consumer in
            let handled = Journal<String>()
            let running = Task { try await consumer.run { handled.record($0.name) } }
            let shared = play.shared
            let server = await play.nextConnection()
            await server.expect(recoveryPage(), answer: pending(("1-0", count - 1), ("2-0", 0)))
            await server.expect(reclaim("1-0", "2-0"), answer: reclaimed([("1-0", count), ("2-0", 1)]))
            await server.expectSnapshot()
            _ = await handled.wait(for: 1)
            // The dead letter and the acknowledgement of 2-0. Whichever is sent first is answered first: the other may
            // wait for that.
            let first = await play.clock.advance(by: .milliseconds(1)) {
                var commands: [[String]] = []
                while commands.count < 2, let command = await shared.nextCommand() {
                    shared.send(GroupReplies.usual(to: command))
                    commands.append(command)
                }
                return commands
            }
            let command = first.first { $0.starts(with: ["EVALSHA", Script.publish.sha1]) } ?? []
            let crashes = "The process that handled it crashed or lost it, 3 times."
            let reason = error == "crash" ? crashes : "Failed 5 times."
            expectDeadLetter(command, attempts: attempts, error: error, reason: reason)
            #expect(handled.all == ["2-0"])
            await play.end(running)
        }
    }

    @Test func `A dead letter whose reply was lost is sent again, and reported without its id`() async throws {
        let play = GroupPlay { $0.deadLetter = DeadLetter("orders:dead", maxAttempts: 1) }
        try await play.running { consumer in
            let running = await play.runFailingHandler(consumer)
            let shared = play.shared
            let first = await play.clock.advance(by: .milliseconds(1)) { await shared.nextCommand() }
            shared.close()
            let next = await play.clock.advance(by: .milliseconds(1)) { await play.nextConnection() }
            await next.expect(first, answer: "$-1\r\n")
            guard case .deadLettered(_, entry: nil, _) = await play.events.wait(for: 1)[0] else {
                Issue.record("the dead letter was not reported")
                return
            }
            await play.end(running)
        }
    }

    @Test func `A dead letter that the server refuses ends the consumer`() async throws {
        let play = GroupPlay { $0.deadLetter = DeadLetter("orders:dead", maxAttempts: 1) }
        try await play.running { consumer in
            let running = await play.runFailingHandler(consumer)
            let shared = play.shared
            _ = await play.clock.advance(by: .milliseconds(1)) { await shared.nextCommand() }
            shared.send("-WRONGTYPE The output goes to a key that holds no stream\r\n")
            play.answerTheRest()
            let error = await play.clock.advance(by: .milliseconds(100)) { await caught { try await running.value } }
            #expect(error?.code == .wrongType)
        }
    }

    /// - Parameter limit: To how many entries the stream of dead letters is trimmed.
    private func expectDeadLetter(
        _ command: [String],
        limit: String = "",
        attempts: String,
        error: String,
        reason: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let description: [String] = [
            "dead-letter.stream", "orders", "dead-letter.group", "billing", "dead-letter.id", "1-0",
            "dead-letter.attempts", attempts, "dead-letter.error", error, "dead-letter.reason", reason,
            "dead-letter.time",
        ]
        let expected = call(.publish, targets: ["orders:dead"], ["1-0", "2", limit, "16"] + description)
        #expect(Array(command.prefix(expected.count)) == expected, sourceLocation: sourceLocation)
        #expect(command.count == expected.count + 3, sourceLocation: sourceLocation)
        #expect(Array(command.suffix(2)) == ["field", "value"], sourceLocation: sourceLocation)
    }
}
