import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// Servers that answer everything at once, in a wrong way.
@Suite(.limitedTime) struct StreamPaceTests {
    struct Server: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var streams: [StreamKey: StreamConsumer.Start] = ["orders": .after(id("100-0"))]
        /// Whether the reader ends with an error at once.
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
        Server(testDescription: "what is no reply to a read", ends: .unexpectedReply) { answer($0, read: ":1\r\n") },
        Server(testDescription: "loading") { answer($0, read: "-LOADING Redis is loading\r\n") },
        Server(testDescription: "unblocked") { answer($0, read: "-UNBLOCKED by somebody\r\n") },
        Server(testDescription: "no cluster") { answer($0, read: "-CLUSTERDOWN Hash slot not served\r\n") },
        Server(testDescription: "no stream, of two", streams: ["a": .beginning, "b": .beginning], ends: .wrongType) {
            answer($0, read: "-WRONGTYPE Operation against a key\r\n")
        },
        Server(testDescription: "a stream that is always made anew") { command in
            guard command.first == "XREAD" else { return answer(command, read: "", last: "5-0") }
            return command.last == "0-0" ? batch(entry("7-0")) : nothing
        },
        Server(testDescription: "scripts are never known") { command in
            command.first == "XREAD" ? nothing : "-NOSCRIPT No matching script\r\n"
        },
        Server(testDescription: "errors to all but reads") { command in
            command.first == "XREAD" ? nothing : "-ERR unknown command\r\n"
        },
        Server(testDescription: "errors to all", streams: ["orders": .resume("audit")]) { _ in
            "-TRYAGAIN later\r\n"
        },
    ]

    @Test(arguments: servers) func `It is asked at a bounded pace`(server: Server) async throws {
        let transport = FakeTransport()
        let asked = Journal<[String]>()
        // So that a reader which knows no pace fails this test, and does not keep it for ever.
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

    @Test func `A server that was a master and is none is told of less and less often`() {
        let replica = ServerRole.replica(host: "host", port: 6379, state: "connected")
        var watch = MasterMonitor()
        for _ in 0..<10 { expect(watch.observe(replica), equals: false) }
        expect(watch.observe(.master(offset: 1, replicaCount: 0)), equals: false)
        let told = (1...130).filter { _ in watch.observe(replica) }
        #expect(told == [1, 2, 4, 8, 16, 32, 64, 128])
        expect(watch.observe(.master(offset: 1, replicaCount: 0)), equals: false)
        expect(watch.observe(replica), equals: true)
    }
}
