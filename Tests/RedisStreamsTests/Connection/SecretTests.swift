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

    @Test func `Former passwords are left out as well, as many as may still be in use`() {
        var secrets = Secrets(Password(secret))
        for number in 1...3 { secrets.add(Password("\(secret)-\(number)")) }
        secrets.add(Password("\(secret)-3"))
        #expect(secrets.passwords.count == 4)
        var text = "ERR \(secret) \(secret)-1 \(secret)-2 \(secret)-3"
        let error = text.withUTF8 { bytes in
            unsafe RedisError(serverText: UnsafeRawBufferPointer(bytes), command: nil, secrets: secrets)
        }
        #expect(error.message == "ERR **** **** **** ****")
        secrets.add("fifth")
        #expect(secrets.passwords.count == 4)
        #expect(secrets.passwords.first == "fifth")
    }

    @Test func `A private key in memory is shown by no description`() {
        var tls = TLSSettings()
        tls.clientCertificate = .pem(certificate: Array("certificate".utf8), privateKey: Array(secret.utf8))
        var dumped = ""
        dump(tls, to: &dumped)
        for text in ["\(tls)", String(reflecting: tls), dumped] { #expect(!text.contains("104")) }
    }

    private func expectNoSecret(_ error: RedisError, sourceLocation: SourceLocation = #_sourceLocation) {
        let texts = [
            error.description, String(reflecting: error), error.message, error.serverCode ?? "", error.command ?? "",
        ]
        for text in texts { #expect(!text.contains("hunter2"), sourceLocation: sourceLocation) }
    }
}
