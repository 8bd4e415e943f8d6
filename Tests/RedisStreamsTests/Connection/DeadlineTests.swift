import NIOCore
import NIOEmbedded
import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct DeadlineTests {
    @Test func `A command fails at its deadline`() async throws {
        let line = try await Line.open()
        async let error = caught { try await line.connection.xlen("a") }
        await line.server.expect(["XLEN", "a"])
        await line.clock.advance(by: .milliseconds(9999))
        #expect(try await line.isOpen)
        await line.clock.advance(by: .milliseconds(1))
        let failure = await error
        #expect(failure?.code == .timeout)
        #expect(failure?.command == "XLEN")
        #expect(failure?.mayHaveExecuted == true)
        await line.server.expectClose()
    }

    @Test func `A reply in time leaves the connection open`() async throws {
        let line = try await Line.open()
        async let length = line.connection.xlen("a")
        await line.server.expect(["XLEN", "a"])
        await line.clock.advance(by: .milliseconds(9999))
        line.server.send(":1\r\n")
        #expect(try await length == 1)
        await line.clock.advance(by: .seconds(1000))
        #expect(try await line.isOpen)
        line.connection.close()
    }

    @Test(arguments: [(1, 10_001), (500, 10_500), (5000, 15_000), (9000, 19_000), (60_000, 121_000)])
    func `A blocking command has the time of any other on top, or twice its own and a second`(
        milliseconds: Int,
        deadline: Int
    ) async throws {
        let line = try await Line.open()
        let read = XREAD([.init("a", after: .zero)], block: .milliseconds(milliseconds))
        async let error = caught { try await line.connection.execute(read) }
        #expect(await line.server.nextCommand()?.first == "XREAD")
        await line.clock.advance(by: .milliseconds(deadline - 1))
        #expect(try await line.isOpen)
        await line.clock.advance(by: .milliseconds(1))
        #expect(await error?.code == .timeout)
        await line.server.expectClose()
    }

    @Test func `A command that says to block for ever has a deadline`() async throws {
        let line = try await Line.open()
        async let error = caught { try await line.connection.execute(Endless()) }
        await line.server.expect(["ENDLESS"])
        await line.clock.advance(by: .seconds(86_400 * 1000))
        #expect(await error?.code == .timeout)
    }

    @Test(arguments: [0, 1])
    func `A command that is too late ends the connection instead of being sent, with those beside it`(
        millisecondsLeft: Int
    ) async throws {
        let line = try await Line.open()
        let outcomes = Journal<RedisError?>()
        let latest = line.connection.eventLoop.now + .milliseconds(Int64(millisecondsLeft))
        _ = try await line.inOneTurn { connection in
            for (command, latest) in [(XLEN("a"), NIODeadline.distantFuture), (XLEN("b"), latest)] {
                connection.enqueue(command, notAfter: latest) { outcome in
                    if case .failure(let error) = outcome { outcomes.record(error) } else { outcomes.record(nil) }
                }
            }
            return []
        }
        if millisecondsLeft > 0 {
            await line.server.expect(["XLEN", "a"], answer: ":1\r\n")
            await line.server.expect(["XLEN", "b"], answer: ":2\r\n")
            #expect(await outcomes.wait(for: 2).allSatisfy { $0 == nil })
            return line.connection.close()
        }
        await line.server.expectClose()
        for failure in await outcomes.wait(for: 2) {
            #expect(failure?.code == .connectionClosed)
            #expect(failure?.mayHaveExecuted == false)
        }
    }

    @Test func `Each of many commands has its own deadline`() async throws {
        let line = try await Line.open()
        async let first = line.connection.xlen("a")
        await line.server.expect(["XLEN", "a"])
        await line.clock.advance(by: .seconds(6))
        async let second = caught { try await line.connection.xlen("b") }
        await line.server.expect(["XLEN", "b"])
        line.server.send(":1\r\n")
        #expect(try await first == 1)
        await line.clock.advance(by: .milliseconds(9999))
        #expect(try await line.isOpen)
        await line.clock.advance(by: .milliseconds(1))
        #expect(await second?.code == .timeout)
    }

    @Test func `The deadline of a command that was cancelled stays`() async throws {
        let line = try await Line.open()
        let cancelled = Task { await caught { try await line.connection.xlen("a") } }
        await line.server.expect(["XLEN", "a"])
        cancelled.cancel()
        _ = await cancelled.value
        await line.clock.advance(by: .seconds(10))
        await line.server.expectClose()
    }

    @Test func `A peer that does not answer the handshake fails with connectTimeout`() async throws {
        let transport = FakeTransport(answersHandshake: false)
        async let error = caught { try await transport.connectAlone() }
        let server = await transport.nextConnection()
        await server.expect(["CLIENT", "ID"])
        await server.expect(["PING"])
        await transport.clock.advance(by: .milliseconds(4999))
        await transport.clock.advance(by: .milliseconds(1))
        let failure = await error
        #expect(failure?.code == .connectTimeout)
        #expect(failure?.isRetriable == true)
        await server.expectClose()
    }

    @Test func `A handshake has one deadline for all its steps`() async throws {
        var configuration = RedisConnection.Configuration()
        configuration.database = 1
        configuration.clientName = "test"
        let transport = FakeTransport(answersHandshake: false)
        async let error = caught { [configuration] in try await transport.connectAlone(configuration) }
        let server = await transport.nextConnection()
        for (name, seconds) in [("SELECT", 2), ("CLIENT", 2)] {
            #expect(await server.nextCommand()?.first == name)
            await transport.clock.advance(by: .seconds(seconds))
            server.send("+OK\r\n")
        }
        await server.expect(["CLIENT", "ID"])
        await server.expect(["PING"])
        await transport.clock.advance(by: .seconds(1))
        #expect(await error?.code == .connectTimeout)
    }
}

private struct Endless: RedisCommand {
    static let name = "ENDLESS"
    var blockingTime: Duration? { .seconds(Int64.max) }
    func encode(into encoder: inout CommandEncoder) { encoder.append("ENDLESS") }
    func decode(_ reply: RedisReply) throws(RedisError) {}
}

extension Line {
    /// Whether the connection has not ended, once everything that is due has been done.
    var isOpen: Bool {
        get async throws {
            await clock.settle()
            let reasons = Journal<RedisError>()
            connection.whenClosed { reasons.record($0) }
            await clock.settle()
            return reasons.all.isEmpty
        }
    }
}
