import NIOCore
import NIOEmbedded
import Testing

@testable import RedisStreams
@testable import RedisStreamsTesting

/// Servers that answer every command of a group consumer at once, in a wrong way.
@Suite(.limitedTime) struct GroupPaceTests {
    struct Server: Sendable, CustomTestStringConvertible {
        var testDescription: String
        /// The error that ends the consumer, if one does.
        var ends: RedisError.Code?
        /// The answer to a command; `nil` for the answer of a server on which nothing happens.
        var answer: @Sendable ([String]) -> String?
    }

    private static func to(_ name: String, _ reply: String) -> @Sendable ([String]) -> String? {
        { $0.first == name ? reply : nil }
    }

    private static func to(_ script: Script, _ reply: String) -> @Sendable ([String]) -> String? {
        { $0.first == "EVALSHA" && $0[1] == script.sha1 ? reply : nil }
    }

    private static let page = array(
        (1...100).map { array([bulk("\($0)-0"), bulk("ann"), ":1000\r\n", ":1\r\n"]) }
    )

    static let servers = [
        Server(testDescription: "an empty read long before its BLOCK time", answer: to("XREADGROUP", nothing)),
        Server(
            testDescription: "a read that says the group exists",
            answer: to("XREADGROUP", "-BUSYGROUP Consumer Group name already exists\r\n")
        ),
        Server(testDescription: "a read that finds no group", answer: to("XREADGROUP", "-NOGROUP gone\r\n")),
        Server(
            testDescription: "a read that the server unblocks",
            answer: to("XREADGROUP", "-UNBLOCKED by another client\r\n")
        ),
        Server(
            testDescription: "an unexpected reply to a read",
            ends: .unexpectedReply,
            answer: to("XREADGROUP", ":1\r\n")
        ),
        Server(testDescription: "a claim scan without an end", answer: to("XAUTOCLAIM", claimed(next: "5-0"))),
        Server(
            testDescription: "a claim that always finds the same message",
            answer: to("XAUTOCLAIM", claimed(["1-0"]))
        ),
        Server(testDescription: "the same page of the pending list, always", answer: to("XPENDING", page)),
        Server(
            testDescription: "pending messages that can never be reclaimed",
            answer: { $0.first == "XPENDING" ? pending("1-0", "2-0") : to(.reclaim, reclaimed([]))($0) }
        ),
        Server(
            testDescription: "an unexpected reply to a reclaim",
            ends: .unexpectedReply,
            answer: { $0.first == "XAUTOCLAIM" ? claimed(["1-0"]) : to(.reclaim, ":1\r\n")($0) }
        ),
        Server(
            testDescription: "a reclaim without the right to it",
            ends: .permissionDenied,
            answer: { $0.first == "XAUTOCLAIM" ? claimed(["1-0"]) : to(.reclaim, "-NOPERM no\r\n")($0) }
        ),
        Server(
            testDescription: "a reclaim that the server always refuses for now",
            answer: {
                $0.first == "XAUTOCLAIM" ? claimed(["1-0", "2-0"]) : to(.reclaim, "-BUSY Redis is busy\r\n")($0)
            }
        ),
        Server(testDescription: "loading") { _ in "-LOADING Redis is loading\r\n" },
        Server(testDescription: "errors to all") { _ in "-TRYAGAIN later\r\n" },
        Server(testDescription: "no master") { $0.first == "CLIENT" ? nil : "-READONLY You can't write\r\n" },
    ]

    @Test(arguments: servers) func `A consumer asks such a server at a bounded pace`(server: Server) async throws {
        let transport = FakeTransport()
        let asked = Journal<[String]>()
        let playing = Task {
            while !Task.isCancelled {
                let connection = await transport.nextConnection()
                Task {
                    while let command = await connection.nextCommand() {
                        asked.record(command)
                        // A consumer without a pace fails this test, and does not keep it running for ever.
                        if asked.all.count > 3000 { continue }
                        if let answer = server.answer(command) {
                            connection.send(answer)
                        } else if let block = command.firstIndex(of: "BLOCK").flatMap({ Int64(command[$0 + 1]) }) {
                            transport.clock.eventLoop.scheduleTask(in: .milliseconds(block)) {
                                connection.send(nothing)
                            }
                        } else {
                            connection.send(GroupReplies.usual(to: command))
                        }
                    }
                }
            }
        }
        try await transport.withClient(.patient) { redis in
            let consumer = GroupConsumer(redis, stream: "orders", group: "billing", consumer: "ann")
            let running = Task { await caught { try await consumer.run(concurrency: 4) { _ in } } }
            for _ in 0..<240 {
                await transport.clock.advance(by: .milliseconds(250))
                await transport.clock.calmDown()
            }
            let counts = asked.all.reduce(into: [:]) { $0[$1[0], default: 0] += 1 }
            #expect(asked.all.count < 400, "in a minute: \(counts)")
            running.cancel()
            let error = await transport.clock.advance(by: .milliseconds(100)) { await running.value }
            #expect(error?.code == server.ends)
        }
        playing.cancel()
    }
}
