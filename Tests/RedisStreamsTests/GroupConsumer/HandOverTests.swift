import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// What a consumer returns and removes when it ends, and how it kills lost connections on the server.
@Suite(.limitedTime) struct HandOverTests {
    @Test func `A consumer that ends returns its buffered messages, and deregisters`() async throws {
        let play = GroupPlay()
        let server = play.serve(new: Replies(batch(entry("1-0"), entry("2-0"), entry("3-0"), entry("4-0"))))
        try await play.running { consumer in
            for try await message in consumer where message.name == "2-0" { break }
            await play.clock.advance(by: .milliseconds(1)) { await server.waitForCall(of: .deregister) }
        }
        #expect(server.acknowledged == ["1-0"])
        #expect(server.calls(of: .requeue) == [["3-0", "30000", "0", "4-0", "30000", "0"]])
        // The body of the loop may still handle its last message: the name keeps all its pending messages.
        #expect(server.calls(of: .deregister) == [["generated:returned", "30000", ""]])
    }

    @Test func `A loop that is cancelled returns buffered messages, and acknowledges the one that its body handled`()
        async throws
    {
        let play = GroupPlay()
        let server = play.serve(new: Replies(batch(entry("1-0"), entry("2-0"), entry("3-0"))))
        try await play.running { consumer in
            let handled = Journal<String>()
            let gate = Gate()
            let loop = Task {
                for try await message in consumer {
                    handled.record(message.name)
                    await gate.wait()
                }
            }
            _ = await handled.wait(for: 1)
            loop.cancel()
            gate.open()
            try await loop.value
            await play.clock.advance(by: .milliseconds(1)) { await server.waitForCall(of: .deregister) }
            #expect(handled.all == ["1-0"])
        }
        #expect(server.acknowledged == ["1-0"])
        #expect(server.calls(of: .requeue) == [["2-0", "30000", "0", "3-0", "30000", "0"]])
    }

    @Test func `Other pending messages are returned too, except those that are handled or were returned`()
        async throws
    {
        let play = GroupPlay()
        // The first page is that of the recovery at the start.
        let pages = Replies(noPending, pending(("1-0", 1), ("2-0", 1001), ("7-0", 1), ("8-0", 2002)))
        let server = play.serve(new: Replies(batch(entry("1-0"), entry("2-0"))), pending: pages)
        try await play.running { consumer in
            for try await _ in consumer { break }
            await play.clock.advance(by: .milliseconds(1)) { await server.waitForCall(of: .deregister) }
        }
        let last = server.calls(of: .requeue).last
        #expect(last == ["7-0", "30000", "0", "8-0", "30000", "2001"])
        #expect(server.calls(of: .requeue).count == 2)
    }

    @Test func `Without the safeguard the consumer stays in the group, with its pending messages`() async throws {
        let play = GroupPlay { $0.safeguards.remove(.handOver) }
        let server = play.serve(new: Replies(batch(entry("1-0"), entry("2-0"), entry("3-0"))))
        try await play.running { consumer in
            for try await message in consumer where message.name == "2-0" { break }
            await play.clock.advance(by: .milliseconds(1)) { _ = await server.acknowledged(atLeast: 1) }
        }
        #expect(server.calls(of: .deregister).isEmpty)
        #expect(server.calls(of: .requeue).isEmpty)
        #expect(server.commands.all.filter { $0.first == "XPENDING" && $0.count > 3 }.count == 1)
    }

    @Test func `The message of a handler that is cancelled with its task and throws is returned`() async throws {
        let play = GroupPlay()
        let server = play.serve(new: Replies(batch(entry("1-0"), entry("2-0"))))
        try await play.running { consumer in
            let started = Gate()
            let running = Task {
                try await consumer.run { _ in
                    started.open()
                    await untilCancelled()
                    try Task.checkCancellation()
                }
            }
            await started.wait()
            running.cancel()
            try await play.clock.advance(by: .milliseconds(1)) { await running.result }.get()
        }
        let given = server.calls(of: .requeue).flatMap { $0 }
        #expect(given == ["1-0", "30000", "0", "2-0", "30000", "0"])
        #expect(server.acknowledged.isEmpty)
    }

    @Test func `A read that waits on the server is unblocked, and its messages are returned`() async throws {
        let play = GroupPlay(answersClientID: true)
        try await play.running { consumer in
            let shared = play.shared
            let loop = Task { for try await _ in consumer {} }
            let server = await play.start()
            await server.expect(readNew())
            loop.cancel()
            try await loop.value
            await shared.expect(["CLIENT", "UNBLOCK", "2", "TIMEOUT"], answer: ":1\r\n")
            server.send(batch(entry("1-0")))
            await play.clock.calmDown()
            let returned = await play.clock.advance(by: .milliseconds(1)) { await shared.nextCommand() }
            #expect(returned == requeue("1-0", idle: 30_000, count: 0))
            shared.send("*0\r\n")
            // The connection is still open, and is leased once more.
            await server.expect(recoveryPage(count: 200), answer: noPending)
            await server.expect(call(.deregister, ["generated:returned", "30000", "-"]), answer: deregistered())
        }
    }

    @Test(arguments: [true, false]) func `A lost connection that may still wait in a read is killed on the server`(
        isGuarded: Bool
    ) async throws {
        let play = GroupPlay(answersClientID: true) { if !isGuarded { $0.safeguards.remove(.staleConnectionKill) } }
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew())
            server.close()
            let next = try await play.reconnection()
            if isGuarded {
                let stale = "id=2 addr=10.0.0.7:50123 name= age=0 idle=0 cmd=xreadgroup\n"
                await next.expect(["CLIENT", "LIST", "ID", "2"], answer: bulk(stale))
                await next.expect(["CLIENT", "KILL", "ID", "2"], answer: ":1\r\n")
            }
            await next.expect(recoveryPage(), answer: noPending)
            _ = messages
        }
    }

    @Test(arguments: [
        "id=2 addr=10.0.0.7:50123 name= age=3 idle=0 cmd=xreadgroup\n",
        "id=2 addr=10.0.0.7:50123 name= age=86400 idle=0 cmd=xreadgroup\n",
        "id=2 addr=10.0.0.8:50123 name= age=6 idle=0 cmd=xreadgroup\n",
        "id=2 addr=10.0.0.7:50123 name=billing-cron age=6 idle=0 cmd=xreadgroup\n",
        "id=2 addr=10.0.0.7:50123 name= age=6 idle=0 cmd=get\n", "",
    ])
    func `The id of a lost connection may belong to another client after a restart, or to none`(
        client: String
    ) async throws {
        let play = GroupPlay(answersClientID: true)
        try await play.running { consumer in
            let messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew())
            await play.clock.advance(by: .seconds(6))
            server.send(nothing)
            await server.expect(readNew())
            server.close()
            let next = try await play.reconnection()
            await next.expect(["CLIENT", "LIST", "ID", "2"], answer: bulk(client))
            await next.expect(recoveryPage(), answer: noPending)
            _ = messages
        }
    }
}

extension ScriptedServer {
    /// Waits until the client has called a script.
    func waitForCall(of script: Script) async {
        var seen = 0
        while calls(of: script).isEmpty { seen = await commands.wait(for: seen + 1).count }
    }
}
