import Logging
import NIOCore
import RedisStreamsTesting
import Synchronization
import Testing

@testable import RedisStreams

private let secret = "hunter2-secret"

@Suite(.limitedTime) struct CredentialsProviderTests {
    private struct Outage: Error {}

    /// Returns `p-1`, `p-2`, … for ten seconds each, and throws for the calls in `failing`.
    private final class Provider: Sendable {
        let calls = Journal<Int>()
        let failing: Set<Int>

        init(failing: Set<Int> = []) {
            self.failing = failing
        }

        var configuration: RedisConnection.Configuration {
            var configuration = RedisConnection.Configuration()
            // The clock of the test may move while the provider, on a thread of its own, has not returned yet.
            configuration.connectTimeout = .seconds(86_400)
            configuration.credentialsProvider = CredentialsProvider { try self.next() }
            return configuration
        }

        private func next() throws -> RedisCredentials {
            let number = calls.all.count + 1
            calls.record(number)
            if failing.contains(number) { throw Outage() }
            return RedisCredentials(username: "ann", password: Password("p-\(number)"), validFor: .seconds(10))
        }
    }

    private final class Failures: ConnectionInstrument {
        let all = Journal<ConnectingFailure>()

        func credentialsNotRenewed(_ failure: ConnectingFailure) { all.record(failure) }
    }

    /// Begins to connect.
    private static func connect(
        _ configuration: RedisConnection.Configuration,
        _ transport: FakeTransport,
        instruments: Instruments = Instruments()
    ) -> Task<RedisConnection, any Error> {
        Task { try await transport.connectAlone(configuration, instruments: instruments) }
    }

    private static func answerHandshake(of server: FakeConnection, password: String) async {
        await server.expect(["AUTH", "ann", password], answer: "+OK\r\n")
        await server.expectHandshake()
    }

    /// Connects with the first password of the provider.
    private static func connected(
        _ provider: Provider,
        _ failures: Failures
    ) async throws -> (FakeTransport, FakeConnection, RedisConnection) {
        let transport = FakeTransport(answersHandshake: false)
        let connecting = connect(provider.configuration, transport, instruments: Instruments([failures]))
        let server = await transport.nextConnection()
        await answerHandshake(of: server, password: "p-1")
        return (transport, server, try await connecting.value)
    }

    @Test func `A connection logs in with what the provider returns, and the next one with the same`() async throws {
        let provider = Provider()
        let transport = FakeTransport(answersHandshake: false)
        let configuration = provider.configuration
        for _ in 1...3 {
            let connecting = Self.connect(configuration, transport)
            let server = await transport.nextConnection()
            await Self.answerHandshake(of: server, password: "p-1")
            try await connecting.value.close()
        }
        #expect(provider.calls.all == [1])
    }

    @Test func `Connections that are made together ask once`() async throws {
        let gate = Gate()
        let calls = Atomic(0)
        var configuration = RedisConnection.Configuration()
        configuration.credentialsProvider = CredentialsProvider {
            calls.add(1, ordering: .relaxed)
            await gate.wait()
            return RedisCredentials(username: "ann", password: "p-1", validFor: .seconds(10))
        }
        let transport = FakeTransport(answersHandshake: false)
        let connecting = (1...3).map { [configuration] _ in Self.connect(configuration, transport) }
        gate.open()
        for _ in 1...3 {
            let server = await transport.nextConnection()
            await Self.answerHandshake(of: server, password: "p-1")
        }
        for task in connecting { try await task.value.close() }
        #expect(calls.load(ordering: .relaxed) == 1)
    }

    @Test func `An open connection authenticates again, and stays open`() async throws {
        let provider = Provider()
        let transport = FakeTransport(answersHandshake: false)
        let connecting = Self.connect(provider.configuration, transport)
        let server = await transport.nextConnection()
        await Self.answerHandshake(of: server, password: "p-1")
        let connection = try await connecting.value
        for number in 2...4 {
            await transport.clock.advance(by: .milliseconds(7900))
            #expect(provider.calls.all.count == number - 1)
            await transport.clock.advance(by: .milliseconds(100))
            _ = await provider.calls.wait(for: number)
            await server.expect(["AUTH", "ann", "p-\(number)"], answer: "+OK\r\n")
            await transport.clock.settle()
        }
        async let length = connection.xlen("a")
        await server.expect(["XLEN", "a"], answer: ":3\r\n")
        #expect(try await length == 3)
        connection.close()
        await server.expectClose()
    }

    @Test func `A reader that blocks is authenticated when its read returns, before the next one`() async throws {
        let provider = Provider()
        let transport = FakeTransport(answersHandshake: false)
        let connecting = Self.connect(provider.configuration, transport)
        let server = await transport.nextConnection()
        await Self.answerHandshake(of: server, password: "p-1")
        let connection = try await connecting.value
        let read = XREAD([.init("a", after: .zero)], block: .seconds(60))
        async let first = connection.execute(read)
        #expect(await server.nextCommand()?.first == "XREAD")
        await transport.clock.advance(by: .seconds(8))
        _ = await provider.calls.wait(for: 2)
        await server.expect(["AUTH", "ann", "p-2"])
        // The usual deadline of a command has long passed.
        await transport.clock.advance(by: .seconds(50))
        try #require(await !connection.isClosed)
        server.send(nothing)
        #expect(try await first.isEmpty)
        async let second = connection.execute(read)
        #expect(await server.nextCommand()?.first == "XREAD")
        server.send("+OK\r\n" + nothing)
        #expect(try await second.isEmpty)
        connection.close()
    }

    @Test func `A provider that throws leaves open connections as they are, and is asked again`() async throws {
        let provider = Provider(failing: [2, 3])
        let failures = Failures()
        let (transport, server, connection) = try await Self.connected(provider, failures)
        await transport.clock.advance(by: .seconds(8))
        let clock = transport.clock
        _ = await clock.advance(by: .milliseconds(25)) { await failures.all.wait(for: 2) }
        _ = await clock.advance(by: .milliseconds(25)) { await provider.calls.wait(for: 4) }
        await server.expect(["AUTH", "ann", "p-4"], answer: "+OK\r\n")
        let told = failures.all.all
        #expect(told.map(\.error.code) == [.connectionUnavailable, .connectionUnavailable])
        #expect(told.map(\.attempt) == [1, 2])
        #expect(told.map(\.retryAfter) == [.milliseconds(50), .milliseconds(100)])
        #expect(told.first?.error.message.contains("Outage") == true)
        connection.close()
        await server.expectClose()
    }

    @Test func `A server that refuses to authenticate an open connection again does not end it`() async throws {
        let provider = Provider()
        let failures = Failures()
        let (transport, server, connection) = try await Self.connected(provider, failures)
        await transport.clock.advance(by: .seconds(8))
        _ = await provider.calls.wait(for: 2)
        await server.expect(["AUTH", "ann", "p-2"], answer: "-WRONGPASS p-2 is not it\r\n")
        _ = await transport.clock.advance(by: .milliseconds(10)) { await provider.calls.wait(for: 3) }
        await server.expect(["AUTH", "ann", "p-3"], answer: "+OK\r\n")
        #expect(failures.all.all.map(\.error.code) == [.authenticationFailed])
        #expect(failures.all.all.first?.error.message.contains("p-2") == false)
        connection.close()
    }

    @Test(arguments: [true, false])
    func `Credentials that a new connection is refused with are asked for once more`(isRight: Bool) async throws {
        let provider = Provider()
        let transport = FakeTransport(answersHandshake: false)
        let connecting = Self.connect(provider.configuration, transport)
        for number in 1...2 {
            let server = await transport.nextConnection()
            let isAccepted = isRight && number == 2
            await server.expect(["AUTH", "ann", "p-\(number)"], answer: isAccepted ? "+OK\r\n" : "-WRONGPASS no\r\n")
            await server.expectHandshake(answer: isAccepted ? "+PONG\r\n" : "-NOAUTH no\r\n")
        }
        if isRight {
            try await connecting.value.close()
        } else {
            let error = await caught { try await connecting.value }
            #expect(error?.code == .authenticationFailed)
        }
        #expect(provider.calls.all == [1, 2])
    }

    @Test func `A provider that throws fails the attempt to connect, which may pass`() async throws {
        let provider = Provider(failing: [1])
        let transport = FakeTransport()
        let error = await caught { try await transport.connectAlone(provider.configuration) }
        #expect(error?.code == .connectionUnavailable)
        #expect(error?.isRetriable == true)
        #expect(error?.cause is Outage)
    }

    @Test func `A provider that does not return fails the attempt within the connect timeout, and is cancelled`()
        async throws
    {
        let cancelled = Gate()
        let hangs = Gate()
        var configuration = RedisConnection.Configuration()
        configuration.credentialsProvider = CredentialsProvider {
            await withTaskCancellationHandler {
                await hangs.wait()
            } onCancel: {
                cancelled.open()
            }
            return RedisCredentials(password: "late")
        }
        let transport = FakeTransport()
        let error = await transport.clock.advance(by: .seconds(1)) { [configuration] in
            await caught { try await transport.connectAlone(configuration) }
        }
        #expect(error?.code == .connectionUnavailable)
        #expect(error?.message.contains("connectTimeout") == true)
        #expect(transport.clock.elapsed >= .seconds(5))
        await cancelled.wait()
        hangs.open()
    }

    @Test func `Who is cancelled while the provider runs gets an error at once, and the call is cancelled`()
        async throws
    {
        let begun = Gate()
        let ended = Gate()
        var configuration = RedisConnection.Configuration()
        configuration.credentialsProvider = CredentialsProvider {
            begun.open()
            await untilCancelled()
            ended.open()
            throw CancellationError()
        }
        let connecting = Self.connect(configuration, FakeTransport())
        await begun.wait()
        connecting.cancel()
        let error = await caught { try await connecting.value }
        #expect(error?.code == .cancelled)
        await ended.wait()
    }

    @Test func `A connection that has ended asks no more`() async throws {
        let provider = Provider()
        let transport = FakeTransport(answersHandshake: false)
        let connecting = Self.connect(provider.configuration, transport)
        let server = await transport.nextConnection()
        await Self.answerHandshake(of: server, password: "p-1")
        try await connecting.value.close()
        await server.expectClose()
        await transport.clock.advance(by: .seconds(100))
        #expect(provider.calls.all == [1])
    }

    @Test func `The newest password is left out of the server's texts, and the former one as well`() async throws {
        let number = Atomic(0)
        var configuration = RedisConnection.Configuration()
        configuration.credentialsProvider = CredentialsProvider {
            let next = number.add(1, ordering: .relaxed).newValue
            return RedisCredentials(username: "ann", password: Password("\(secret)-\(next)"), validFor: .seconds(10))
        }
        let transport = FakeTransport(answersHandshake: false)
        let connecting = Self.connect(configuration, transport)
        let server = await transport.nextConnection()
        await Self.answerHandshake(of: server, password: "\(secret)-1")
        let connection = try await connecting.value
        await transport.clock.advance(by: .seconds(8))
        await server.expect(["AUTH", "ann", "\(secret)-2"], answer: "+OK\r\n")
        async let error = caught { try await connection.xlen("a") }
        await server.expect(["XLEN", "a"], answer: "-ERR \(secret)-1 and \(secret)-2\r\n")
        let failure = try #require(await error)
        #expect(failure.message == "ERR **** and ****")
        connection.close()
    }

    @Test func `All connections that cannot renew cause one warning a minute`() {
        let lines = LogLines()
        let log = ConnectionLog(lines.logger)
        for second: UInt64 in [0, 1, 59, 61] {
            log.credentialsNotRenewed(
                ConnectingFailure(
                    error: RedisError(.connectionUnavailable, "no"),
                    attempt: 1,
                    retryAfter: .seconds(1),
                    time: .uptimeNanoseconds(second * 1_000_000_000)
                )
            )
        }
        let told = lines.lines("could not renew the credentials: open connections go on with those that they have")
        #expect(told.map(\.level) == [.warning, .debug, .debug, .warning])
        #expect(told.first?.metadata["redis.reason"] == "connectionUnavailable: no")
    }
}
