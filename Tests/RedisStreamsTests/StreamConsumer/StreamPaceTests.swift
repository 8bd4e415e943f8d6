import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// Servers that answer everything at once, and wrongly.
@Suite(.limitedTime) struct StreamPaceTests {
    struct Server: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var streams: [StreamKey: StreamConsumer.Start] = ["orders": .after(id("100-0"))]
        /// The error with which the loop ends at once, if it does.
        var ends: RedisError.Code?
        var answer: @Sendable ([String]) -> String?
    }

    static let servers = [
        Server(testDescription: "nothing, long before BLOCK is over") { answer($0, read: nothing) },
        Server(testDescription: "the same page again", ends: .unexpectedReply) {
            answer($0, read: batch(entry("101-0"), entry("102-0")))
        },
        Server(testDescription: "entries of another stream", ends: .unexpectedReply) {
            answer($0, read: batch(of: "other", entry("101-0")))
        },
        Server(testDescription: "a reply of another type", ends: .unexpectedReply) { answer($0, read: ":1\r\n") },
        Server(testDescription: "loading") { answer($0, read: "-LOADING Redis is loading\r\n") },
        Server(testDescription: "unblocked") { answer($0, read: "-UNBLOCKED by somebody\r\n") },
        Server(testDescription: "no cluster") { answer($0, read: "-CLUSTERDOWN Hash slot not served\r\n") },
        Server(testDescription: "no stream, of two", streams: ["a": .beginning, "b": .beginning], ends: .wrongType) {
            answer($0, read: "-WRONGTYPE Operation against a key\r\n")
        },
        Server(testDescription: "a stream that is recreated again and again") { command in
            guard command.first == "XREAD" else { return answer(command, read: "", last: "5-0") }
            return command.last == "0-0" ? batch(entry("7-0")) : nothing
        },
        Server(testDescription: "NOSCRIPT to all scripts") { command in
            command.first == "XREAD" ? nothing : "-NOSCRIPT No matching script\r\n"
        },
        Server(testDescription: "errors to everything but reads") { command in
            command.first == "XREAD" ? nothing : "-ERR unknown command\r\n"
        },
        Server(testDescription: "errors to everything", streams: ["orders": .resume("audit")]) { _ in
            "-TRYAGAIN later\r\n"
        },
    ]

    @Test(arguments: servers) func `A consumer asks such a server at a bounded rate`(server: Server) async throws {
        let transport = FakeTransport()
        let asked = Journal<[String]>()
        // Limits how often the server answers, so that a consumer without a pause fails this test instead of running
        // for ever.
        let playing = ScriptedServer(on: transport) { command in
            asked.record(command)
            return asked.all.count > 2000 ? nil : server.answer(command)
        }
        try await transport.withClient(.patient) { redis in
            let consumer = StreamConsumer(redis, streams: server.streams)
            let loop = Task { await caught { for try await _ in consumer {} } }
            for _ in 0..<600 { await transport.clock.advance(by: .milliseconds(100)) }
            #expect(asked.all.count < 300, "in a minute")
            if let code = server.ends {
                #expect(await loop.value?.code == code)
            } else {
                loop.cancel()
                #expect(await loop.value == nil)
            }
        }
        _ = playing
    }

    private static func answer(_ command: [String], read: String, last: String = "100-0") -> String? {
        switch command.first {
        case "XREAD": read
        case "ROLE": masterRole
        case "EVALSHA": probed(last: last, entries: (last, last))
        default: ":1\r\n"
        }
    }

    @Test func `A master that has become a replica is reported less and less often`() {
        let replica = ServerRole.replica(host: "host", port: 6379, state: "connected")
        var monitor = MasterMonitor()
        for _ in 0..<10 { expect(monitor.observe(replica), equals: false) }
        expect(monitor.observe(.master(offset: 1, replicaCount: 0)), equals: false)
        let reported = (1...130).filter { _ in monitor.observe(replica) }
        #expect(reported == [1, 2, 4, 8, 16, 32, 64, 128])
        expect(monitor.observe(.master(offset: 1, replicaCount: 0)), equals: false)
        expect(monitor.observe(replica), equals: true)
    }
}
