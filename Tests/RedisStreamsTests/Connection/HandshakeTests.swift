import RedisStreamsTesting
import Testing

@testable import RedisStreams

private let secret = "hunter2-secret"

@Suite(.limitedTime) struct HandshakeTests {
    @Test func `Without a login the handshake asks for the id, and whether the server serves`() async throws {
        let meeting = Meeting(.init())
        let server = await meeting.server()
        await server.expectHandshake()
        try await meeting.connection().close()
    }

    @Test func `The handshake leaves in one write, in the order in which the server needs it`() async throws {
        let meeting = Meeting(everything)
        let server = await meeting.server()
        await server.expect(["AUTH", "ann", secret], answer: "+OK\r\n")
        await server.expect(["SELECT", "3"], answer: "+OK\r\n")
        await server.expect(["CLIENT", "SETNAME", "billing"], answer: "+OK\r\n")
        await server.expectHandshake()
        try await meeting.connection().close()
        #expect(meeting.log.joined == [["AUTH", "SELECT", "CLIENT", "CLIENT", "PING"]])
    }

    @Test func `A password without a user is sent as servers of old know it`() async throws {
        var configuration = RedisConnection.Configuration()
        configuration.password = Password(secret)
        let meeting = Meeting(configuration)
        let server = await meeting.server()
        await server.expect(["AUTH", secret], answer: "+OK\r\n")
        await server.expectHandshake()
        try await meeting.connection().close()
    }

    @Test(arguments: [
        ("-WRONGPASS invalid username-password pair", RedisError.Code.authenticationFailed),
        ("-ERR AUTH \(secret) called without any password configured", .authenticationFailed),
        ("-ERR unknown command 'AUTH', with args beginning with: 'ann' '\(secret)'", .authenticationFailed),
        ("-ERR max number of clients reached", .tooManyClients), ("-LOADING Redis is loading", .loading),
    ])
    func `A refused AUTH closes the connection, and its error holds no secret`(
        reply: String,
        code: RedisError.Code
    ) async throws {
        let error = await refusal(of: everything, ["AUTH": reply])
        #expect(error?.code == code)
        #expect(error?.command == nil, "no command of a user failed")
        let text = "\(String(describing: error)) \(error?.message ?? "")"
        #expect(!text.contains(secret))
    }

    @Test func `A refused SELECT says which database`() async throws {
        let error = await refusal(of: everything, ["SELECT": "-ERR DB index is out of range"])
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.command == nil)
        #expect(error?.message.contains("3") == true)
    }

    @Test func `A server that wants a password refuses the handshake for good`() async throws {
        let error = await refusal(of: .init(), ["PING": "-NOAUTH Authentication required."])
        #expect(error?.code == .authenticationFailed)
        #expect(error?.isRetriable == false)
    }

    @Test(arguments: ["-LOADING Redis is loading the dataset in memory", "-LOADING Valkey is loading"])
    func `The error of a server that is loading is retriable`(reply: String) async throws {
        let error = await refusal(of: .init(), ["PING": reply])
        #expect(error?.code == .loading)
        #expect(error?.isRetriable == true)
    }

    @Test(arguments: [
        "-NOPERM no permissions", "-MISCONF Redis is configured to save", "-BUSY Redis is busy running a script",
    ])
    func `A server that is alive and refuses PING for now is accepted`(reply: String) async throws {
        let meeting = Meeting(.init())
        let server = await meeting.server()
        await server.expectHandshake(answer: reply + "\r\n")
        try await meeting.connection().close()
    }

    @Test func `A full server is recognised by its error in place of the reply to the name`() async throws {
        var configuration = RedisConnection.Configuration()
        configuration.clientName = "billing"
        let error = await refusal(of: configuration, ["CLIENT": "-ERR max number of clients reached"])
        #expect(error?.code == .tooManyClients)
    }

    @Test(arguments: ["-NOPERM no", "-ERR unknown command 'CLIENT'", "-BUSY Redis is busy running a script"])
    func `A connection opens without a name that cannot be set`(refusal: String) async throws {
        var configuration = RedisConnection.Configuration()
        configuration.clientName = "billing"
        let meeting = Meeting(configuration)
        let server = await meeting.server()
        await server.expect(["CLIENT", "SETNAME", "billing"], answer: refusal + "\r\n")
        await server.expectHandshake()
        try await meeting.connection().close()
    }

    @Test func `The connection keeps the id that the server gave it`() async throws {
        let meeting = Meeting(.init())
        let server = await meeting.server()
        await server.expect(["CLIENT", "ID"], answer: ":4711\r\n")
        await server.expect(["PING"], answer: "+PONG\r\n")
        let connection = try await meeting.connection()
        #expect(connection.clientID == 4711)
        connection.close()
    }

    @Test(arguments: [
        "-NOPERM no", "-ERR unknown command 'CLIENT'", "-BUSY Redis is busy running a script", "+OK",
    ])
    func `A connection opens without an id that the server does not give`(answer: String) async throws {
        let meeting = Meeting(.init())
        let server = await meeting.server()
        await server.expect(["CLIENT", "ID"], answer: answer + "\r\n")
        await server.expect(["PING"], answer: "+PONG\r\n")
        let connection = try await meeting.connection()
        #expect(connection.clientID == nil)
        connection.close()
    }

    @Test func `A full server is recognised by its error, before the handshake and instead of its reply`() async throws
    {
        let error = await refusal(of: .init(), ["PING": "-ERR max number of clients reached"])
        #expect(error?.code == .tooManyClients)
        #expect(error?.isRetriable == true)
        let meeting = Meeting(.init())
        let server = await meeting.server()
        server.send("-ERR max number of clients reached\r\n")
        server.close()
        let before = await caught { try await meeting.connection() }
        #expect(before?.code == .tooManyClients)
    }

    @Test func `The alert of a server that speaks TLS says that the client does not`() async throws {
        let meeting = Meeting(.init())
        let server = await meeting.server()
        server.send("\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}F")
        let error = await caught { try await meeting.connection() }
        #expect(error?.code == .tlsFailure)
        #expect(error?.tlsFailure == .encryptedServer)
        #expect(error?.isRetriable == false)
        #expect(error?.message.contains("rediss://") == true)
    }

    @Test(arguments: ["HTTP/1.1 400 Bad Request\r\n", "220 smtp.example.org ESMTP\r\n"])
    func `Another kind of server on the port is a protocol violation`(handshake: String) async throws {
        let meeting = Meeting(.init())
        let server = await meeting.server()
        server.send(handshake)
        let error = await caught { try await meeting.connection() }
        #expect(error?.code == .protocolViolation)
        #expect(error?.isRetriable == false)
    }

    @Test func `A word in place of an identifier comes from no Redis, also if nothing follows`() async throws {
        let meeting = Meeting(.init())
        let server = await meeting.server()
        await server.expect(["CLIENT", "ID"], answer: "+HELLO\r\n")
        await server.expect(["PING"])
        server.close()
        let error = await caught { try await meeting.connection() }
        #expect(error?.code == .protocolViolation)
        #expect(error?.isRetriable == false)
    }

    @Test func `The error of a server that closes during the handshake is retriable`() async throws {
        let meeting = Meeting(.init())
        let server = await meeting.server()
        await server.expect(["CLIENT", "ID"])
        await server.expect(["PING"])
        server.close()
        let error = await caught { try await meeting.connection() }
        #expect(error?.code == .connectionClosed)
        #expect(error?.isRetriable == true)
        #expect(error?.message.hasPrefix("The server closed the connection. If it speaks TLS on this port") == true)
    }

    @Test func `A handshake that is cancelled closes the connection`() async throws {
        let meeting = Meeting(.init())
        let server = await meeting.server()
        await server.expect(["CLIENT", "ID"])
        await server.expect(["PING"])
        meeting.cancel()
        let error = await caught { try await meeting.connection() }
        #expect(error?.code == .cancelled)
        await server.expectClose()
    }

    @Test(arguments: ["closes", "is silent", "+garbage\r\n", "HTTP/1.1 400 Bad Request\r\n", "-NOAUTH no\r\n"])
    func `A command that waits for a handshake that fails was not executed, and the error names it`(
        peer: String
    ) async throws {
        let transport = FakeTransport(answersHandshake: false)
        var configuration = RedisClient.Configuration()
        configuration.connection = everything
        configuration.backoff.limit = .seconds(1)
        try await transport.withClient(configuration) { redis in
            let peers = Task {
                while true {
                    let server = await transport.nextConnection()
                    if peer == "closes" { server.close() } else if peer != "is silent" { server.send(peer) }
                }
            }
            let error = await transport.clock.advance(by: .milliseconds(100)) {
                await caught { try await redis.xadd("orders", ["n": "1"]) }
            }
            #expect(error?.mayHaveExecuted == false)
            #expect(error?.command == "XADD")
            let leased = await transport.clock.advance(by: .milliseconds(100)) {
                await caught { try await redis.xread([StreamOffset("s", after: .zero)], block: .seconds(1)) }
            }
            #expect(leased?.mayHaveExecuted == false)
            #expect(leased?.command == "XREAD")
            peers.cancel()
        }
    }

    private var everything: RedisConnection.Configuration {
        var configuration = RedisConnection.Configuration()
        configuration.username = "ann"
        configuration.password = Password(secret)
        configuration.database = 3
        configuration.clientName = "billing"
        return configuration
    }

    /// Performs a handshake with a server that answers some commands with an error.
    private func refusal(
        of configuration: RedisConnection.Configuration,
        _ replies: [String: String]
    ) async -> RedisError? {
        let meeting = Meeting(configuration)
        let server = await meeting.server()
        let answering = Task {
            while let command = await server.nextCommand() {
                server.send((replies[command[0]] ?? "+OK") + "\r\n")
            }
        }
        let error = await caught { try await meeting.connection() }
        await answering.value
        return error
    }
}

/// A client that connects, and a server whose part the test plays.
private struct Meeting {
    let log = WriteLog(answersHandshake: false)
    private let connecting: Task<RedisConnection, any Error>

    init(_ configuration: RedisConnection.Configuration) {
        connecting = Task { [log] in try await log.connectAlone(configuration) }
    }

    func server() async -> FakeConnection { await log.base.nextConnection() }
    func connection() async throws -> RedisConnection { try await connecting.value }
    func cancel() { connecting.cancel() }
}
