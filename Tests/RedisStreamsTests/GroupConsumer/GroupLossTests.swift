import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// The group vanishes while it is read for, with all that it had pending.
@Suite(.timeLimit(.minutes(1))) struct GroupLossTests {
    static let policies: [(GroupConsumer.GroupLossPolicy, lowestPending: String?, last: String, position: String)] = [
        (.resume, nil, "9-0", "5-0"), (.resume, "3-1", "9-0", "3-0"), (.beginning, nil, "9-0", "0-0"),
        (.latest, nil, "9-0", "9-0"), (.resume, nil, "5-0", "5-0"),
    ]

    @Test(arguments: policies) func `It is created where the policy says`(
        policy: GroupConsumer.GroupLossPolicy,
        lowestPending: String?,
        last: String,
        position: String
    ) async throws {
        let play = GroupPlay {
            $0.start = .latest
            $0.groupLoss = policy
        }
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start(delivered: "5-0", lowestPending: lowestPending)
            await server.expect(readNew(), answer: "-NOGROUP No such key 'orders' or consumer group 'billing'\r\n")
            await server.expectCreation(after: position, last: last)
            // The new group has not been swept yet.
            await server.expect(readNew())
            guard case .groupCreated(let after, wasLost: true) = await play.events.wait(for: 1)[0] else {
                Issue.record("not told of the loss")
                return
            }
            #expect(after == id(position))
            _ = messages
        }
    }

    @Test func `Without its watermark it would go on with what is added, and lose what came before`() async throws {
        let play = GroupPlay { $0.safeguards.remove(.watermark) }
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start(delivered: "5-0")
            await server.expect(readNew(), answer: "-NOGROUP gone\r\n")
            await server.expectCreation(after: "9-0", last: "9-0")
            _ = messages
        }
    }

    @Test(arguments: [("3-0", Discontinuity.Kind.regressed), ("0-0", .missing)])
    func `In a stream that was made anew it begins at the beginning, and says so`(
        last: String,
        kind: Discontinuity.Kind
    ) async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start(delivered: "5-0")
            await server.expect(readNew(), answer: "-NOGROUP gone\r\n")
            await server.expectCreation(after: "0-0", last: last)
            guard case .discontinuity(let what) = await play.events.wait(for: 1)[0] else {
                Issue.record("not told of the new stream")
                return
            }
            #expect(what == Discontinuity(kind, stream: "orders", position: id("5-0"), lastID: id(last)))
            _ = messages
        }
    }

    @Test func `Where it is not to be created again, its loss is thrown`() async throws {
        let play = GroupPlay { $0.groupLoss = .fail }
        try await play.running { consumer in
            async let error = caught { for try await _ in consumer {} }
            let server = await play.start()
            await server.expect(readNew(), answer: "-NOGROUP gone\r\n")
            await server.expect(["XINFO", "STREAM", "orders"], answer: streamInfo(last: "9-0"))
            #expect(await error?.code == .noGroup)
        }
    }

    @Test(arguments: ["+OK\r\n", "-BUSYGROUP Consumer Group name already exists\r\n"])
    func `What is held is not handed out again when the new group delivers it`(answer: String) async throws {
        let play = GroupPlay()
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew())
            let first = try await messages.next()
            server.send("-NOGROUP the consumer group this client was blocked on no longer exists\r\n")
            await server.expectCreation(after: "0-0", last: "2-0", answer: answer)
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0"), entry("3-0")))
            await server.expect(readNew())
            let rest = [try await messages.next(), try await messages.next()]
            #expect(([first] + rest).map { $0?.name } == ["1-0", "2-0", "3-0"])
        }
    }
}
