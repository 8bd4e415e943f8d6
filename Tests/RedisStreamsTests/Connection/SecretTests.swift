import RedisStreamsTesting
import Testing

@testable import RedisStreams

private let secret = "hunter2-secret"

/// No error and no description shows the password of a connection, whatever a peer repeats of it.
@Suite(.limitedTime) struct SecretTests {
    private static var configuration: RedisConnection.Configuration {
        var configuration = RedisConnection.Configuration()
        configuration.username = "ann"
        configuration.password = Password(secret)
        return configuration
    }

    @Test(arguments: [
        "-WRONGPASS \(secret) is not ann's password", "-\(secret)", "-MOVED 1 \(secret):6379", "+\(secret)",
        "-ERR Error running script (call to f_1): @user_script:1: \(secret)",
        "-ERR " + String(repeating: "é", count: 250) + secret,
    ])
    func `The reply to any command`(reply: String) async throws {
        let line = try await Line.open(Self.configuration)
        async let error = caught { try await line.connection.xlen("a") }
        await line.server.expect(["XLEN", "a"], answer: reply + "\r\n")
        expectNoSecret(try #require(await error))
    }

    @Test func `A reply within a reply, and its description`() async throws {
        let line = try await Line.open(Self.configuration)
        async let reply = line.connection.send("ANY")
        await line.server.expect(["ANY"], answer: "*2\r\n-ERR \(secret)\r\n+\(secret)\r\n")
        let parts = Array(try #require(try await reply.array))
        expectNoSecret(try #require(parts[0].error))
        for part in parts { #expect(!part.description.contains("hunter2")) }
        // The caller that asks for the text gets what the server really sent.
        #expect(parts[1].string == secret)
    }

    @Test func `A reply that nobody asked for`() async throws {
        let line = try await Line.open(Self.configuration)
        let reasons = Journal<RedisError>()
        line.connection.whenClosed { reasons.record($0) }
        line.server.send("-ERR \(secret)\r\n")
        expectNoSecret(try #require(await reasons.wait(for: 1).first))
    }

    @Test(
        arguments: ["AUTH", "CLIENT ID", "PING"],
        ["-LOADING \(secret)", "-NOPERM \(secret)", "-\(secret)", "+\(secret)"]
    )
    func `The handshake`(step: String, reply: String) async throws {
        let transport = FakeTransport(answersHandshake: false)
        async let error = caught {
            _ = try await transport.connectAlone(Self.configuration)
        }
        let server = await transport.nextConnection()
        while let command = await server.nextCommand() {
            let name = command[0] == "CLIENT" ? "CLIENT ID" : command[0]
            server.send((name == step ? reply : name == "PING" ? "+PONG" : name == "AUTH" ? "+OK" : ":7") + "\r\n")
            if name == "PING" { break }
        }
        if let error = await error { expectNoSecret(error) }
    }

    private func expectNoSecret(_ error: RedisError, sourceLocation: SourceLocation = #_sourceLocation) {
        let texts = [
            error.description, String(reflecting: error), error.message, error.serverCode ?? "", error.command ?? "",
        ]
        for text in texts { #expect(!text.contains("hunter2"), sourceLocation: sourceLocation) }
    }
}
