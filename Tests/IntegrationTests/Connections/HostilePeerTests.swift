import NIOCore
import NIOPosix
import RedisStreams
import Testing

extension IntegrationTests {
    /// Peers that are no Redis servers, or broken ones.
    @Suite struct HostilePeers {
        struct Case: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let behaviour: ScriptedPeer.Behaviour
            let codes: [RedisError.Code]
        }

        static let http = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

        static let cases = [
            Case(testDescription: "HTTP", behaviour: .answersAndCloses(http), codes: [.protocolViolation]),
            Case(
                testDescription: "a huge array instead of a handshake",
                behaviour: .answers("*2147483647\r\n"),
                codes: [.replyTooLarge]
            ),
            Case(
                testDescription: "a huge array",
                behaviour: .answersAfterHandshake("*2147483647\r\n", closes: false),
                codes: [.replyTooLarge]
            ),
            Case(
                testDescription: "a huge string",
                behaviour: .answersAfterHandshake("$9223372036854775807\r\nabc", closes: false),
                codes: [.replyTooLarge]
            ),
            Case(
                testDescription: "a reply cut short",
                behaviour: .answersAfterHandshake("*2\r\n$3\r\nab", closes: true),
                codes: [.connectionClosed]
            ),
            Case(
                testDescription: "no reply",
                behaviour: .answersAfterHandshake("", closes: true),
                codes: [.connectionClosed]
            ),
            Case(testDescription: "silence", behaviour: .answersAfterHandshake("", closes: false), codes: [.timeout]),
            Case(testDescription: "silence from the start", behaviour: .answers(""), codes: [.connectTimeout]),
            Case(
                testDescription: "a close at once",
                behaviour: .answersAndCloses(""),
                codes: [.connectionClosed]
            ),
            Case(
                testDescription: "an unsolicited reply",
                behaviour: .greets("+HELLO\r\n"),
                codes: [.protocolViolation]
            ),
            Case(
                testDescription: "an unsolicited error",
                behaviour: .greets("-ERR max number of clients reached\r\n"),
                codes: [.tooManyClients]
            ),
            Case(
                testDescription: "two replies to one command",
                behaviour: .answersAfterHandshake("*0\r\n*0\r\n", closes: false),
                codes: [.protocolViolation]
            ),
            Case(
                testDescription: "bad UTF-8 and control characters",
                behaviour: .answersAfterHandshake(
                    "-ERR \u{1b}[2J \(secret)x with args beginning with: \(secret)\r\n",
                    closes: false
                ),
                codes: [.serverError]
            ),
        ]

        @Test("a peer that is no Redis server causes an error in time, and the client goes on", arguments: cases)
        func peer(_ test: Case) async throws {
            try await ScriptedPeer.with(test.behaviour) { peer in
                try await withRedisClient(peer.configuration) { redis in
                    for _ in 1...2 {
                        let start = ContinuousClock.now
                        do {
                            _ = try await redis.xrange("s")
                            if test.testDescription == "two replies to one command" { throw CancellationError() }
                            Issue.record("Nothing was thrown")
                        } catch let error as RedisError {
                            #expect(test.codes.contains(error.code), "\(error)")
                            if test.codes != [.serverError] { expectNoSecret(in: error) }
                            #expect(!"\(error)".contains("\u{1b}"))
                        } catch is CancellationError {
                            // The first reply is valid; the second ends the connection.
                        }
                        #expect(ContinuousClock.now - start < .seconds(4))
                    }
                }
            }
        }

        @Test("no error contains the password, whatever the peer sends", arguments: cases)
        func password(_ test: Case) async throws {
            try await ScriptedPeer.with(test.behaviour) { peer in
                var configuration = peer.configuration
                configuration.connection.username = "user"
                configuration.connection.password = Password(secret)
                configuration.acquireTimeout = .milliseconds(300)
                try await withRedisClient(configuration) { redis in
                    do {
                        _ = try await redis.xrange("s")
                    } catch let error as RedisError {
                        expectNoSecret(in: error)
                    }
                }
            }
        }

        @Test("an address that does not answer causes an error within the timeout")
        func blackHole() async throws {
            try await ScriptedPeer.withBlackHole { peer in
                try await withRedisClient(peer.configuration) { redis in
                    await expectError(.connectTimeout, within: .seconds(4)) { try await redis.ping() }
                    await expectError(.connectTimeout, within: .seconds(4)) {
                        try await redis.xread([StreamOffset("s")], block: .milliseconds(10))
                    }
                }
            }
        }

        @Test("a port on which no server listens refuses the connection")
        func refused() async throws {
            let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .bind(host: "127.0.0.1", port: 0).get()
            let port = try #require(channel.localAddress?.port)
            try await channel.close()
            var configuration = RedisClient.Configuration(address: .tcp(host: "127.0.0.1", port: port))
            configuration.acquireTimeout = .milliseconds(500)
            try await withRedisClient(configuration) { redis in
                let error = await expectError(.connectionRefused, within: .seconds(3)) { try await redis.ping() }
                #expect(error?.message.contains("127.0.0.1:\(port)") == true)
                await expectError(.connectionRefused, within: .seconds(3)) {
                    for try await _ in StreamConsumer(redis, stream: "s") {}
                }
                await expectError(.connectionRefused, within: .seconds(3)) {
                    for try await _ in GroupConsumer(redis, stream: "s", group: "g") {}
                }
                await expectError(.connectionRefused, within: .seconds(3)) {
                    try await GroupConsumer(redis, stream: "s", group: "g").run { _ in }
                }
            }
        }

        @Test("a missing socket refuses the connection")
        func noSocket() async throws {
            var configuration = RedisClient.Configuration(address: .unixSocket(path: "/tmp/there-is-no.sock"))
            configuration.acquireTimeout = .milliseconds(300)
            try await withRedisClient(configuration) { redis in
                await expectError(.connectionRefused, within: .seconds(3)) { try await redis.ping() }
            }
        }

        @Test("a host name without an address is not found")
        func unknownHost() async throws {
            var configuration = RedisClient.Configuration(address: .tcp(host: "no-such-host.invalid"))
            configuration.acquireTimeout = .milliseconds(500)
            try await withRedisClient(configuration) { redis in
                await expectError(.hostNotFound, within: .seconds(15)) { try await redis.ping() }
            }
        }

        @Test("a client that does not run throws an error that says so")
        func notRunning() async throws {
            var configuration = RedisClient.Configuration()
            configuration.acquireTimeout = .milliseconds(100)
            let client = try RedisClient(configuration)
            let error = await expectError(.connectionUnavailable, within: .seconds(2)) { try await client.ping() }
            #expect(error?.message.contains("run()") == true)
        }
    }
}
