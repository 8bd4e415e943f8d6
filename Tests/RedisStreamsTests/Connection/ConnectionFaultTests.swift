import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct ConnectionFaultTests {
    @Test func `A command fails with connectionClosed if the server closes in the middle of its reply`() async throws {
        let line = try await Line.open()
        async let error = caught { try await line.connection.send("GET", "a") }
        await line.server.expect(["GET", "a"])
        line.server.send("$100\r\nabc")
        line.server.close()
        let failure = await error
        #expect(failure?.code == .connectionClosed)
        #expect(failure?.command == "GET")
        #expect(failure?.mayHaveExecuted == true)
        #expect(failure?.isRetriable == true)
    }

    @Test func `TLS that fails after the handshake is a connection that broke`() async throws {
        let line = try await Line.open()
        async let error = caught { try await line.connection.xlen("a") }
        await line.server.expect(["XLEN", "a"])
        let connection = line.connection
        _ = try await line.inOneTurn { _ in
            connection.ended(with: RedisError(.tlsFailure, "bad record mac"))
            return []
        }
        let failure = await error
        #expect(failure?.code == .connectionClosed)
        #expect(failure?.isRetriable == true)
        #expect(failure?.message.contains("bad record mac") == true)
    }

    @Test func `After the end every command fails at once, and was not executed`() async throws {
        let line = try await Line.open()
        line.server.close()
        let reason = Journal<RedisError.Code>()
        line.connection.whenClosed { reason.record($0.code) }
        #expect(await reason.wait(for: 1) == [.connectionClosed])
        for _ in 0..<2 {
            let error = await caught { try await line.connection.xlen("a") }
            #expect(error?.code == .connectionClosed)
            #expect(error?.command == "XLEN")
            #expect(error?.mayHaveExecuted == false)
        }
        let (first, second) = await line.connection.pipeline(XLEN("a"), XLEN("b"))
        #expect(failure(of: first)?.mayHaveExecuted == false)
        #expect(failure(of: second)?.mayHaveExecuted == false)
        let transaction = await caught { try await line.connection.transaction(XLEN("a")) }
        #expect(transaction?.code == .connectionClosed)
        #expect(transaction?.mayHaveExecuted == false)
    }

    @Test func `Closing fails the commands that are in flight, once`() async throws {
        let line = try await Line.open()
        let reasons = Journal<RedisError.Code>()
        line.connection.whenClosed { reasons.record($0.code) }
        async let error = caught { try await line.connection.xlen("a") }
        await line.server.expect(["XLEN", "a"])
        line.connection.close()
        line.connection.close()
        line.server.close()
        let failure = await error
        #expect(failure?.code == .connectionClosed)
        #expect(failure?.mayHaveExecuted == true)
        await line.clock.settle()
        #expect(reasons.all == [.connectionClosed])
        await line.server.expectClose()
    }

    @Test func `A command that was still queued when the connection ended was not executed`() async throws {
        let line = try await Line.open()
        let pending = try await line.inOneTurn { connection in
            let replies = connection.enqueue(count: 1) { $0.write(XLEN("a")) }
            connection.assumeIsolated { $0.ended(with: nil) }
            return [replies]
        }
        let error = failure(of: await pending[0].outcomesInAnyCase()[0])
        #expect(error?.code == .connectionClosed)
        #expect(error?.mayHaveExecuted == false)
    }

    @Test func `Every command that was still queued when the connection ended fails, and was not executed`()
        async throws
    {
        let line = try await Line.open()
        let replies = try await line.inOneTurn { connection in
            let replies = (0..<3).map { number in
                connection.enqueue(count: 1) { $0.write(XLEN(StreamKey("s\(number)"))) }
            }
            connection.assumeIsolated { $0.ended(with: nil) }
            return replies + [connection.enqueue(count: 1) { $0.write(XLEN("late")) }]
        }
        for pending in replies {
            let error = failure(of: await pending.outcomesInAnyCase()[0])
            #expect(error?.code == .connectionClosed)
            #expect(error?.command == "XLEN")
            #expect(error?.mayHaveExecuted == false)
        }
        #expect(line.log.joined.isEmpty)
    }

    @Test func `A reply that nobody asked for ends the connection`() async throws {
        let line = try await Line.open()
        line.server.send("+hello\r\n")
        await line.server.expectClose()
        let error = await caught { try await line.connection.xlen("a") }
        #expect(error?.code == .protocolViolation)
        #expect(error?.mayHaveExecuted == false)
    }

    @Test func `A reply too many ends the connection, behind the ones that were due`() async throws {
        let line = try await Line.open()
        async let length = line.connection.xlen("a")
        await line.server.expect(["XLEN", "a"])
        line.server.send(":1\r\n:2\r\n")
        #expect(try await length == 1)
        await line.server.expectClose()
    }

    @Test(arguments: [
        "HTTP/1.1 400 Bad Request\r\n\r\n", "*-2\r\n", "$3\r\nabcXY", "%1\r\n", "\u{0}\u{1}\u{2}\r\n",
        ":12a\r\n", "$-5\r\n",
    ])
    func `Bytes that are not RESP end the connection with a protocol violation`(garbage: String) async throws {
        let line = try await Line.open()
        async let error = caught { try await line.connection.xlen("a") }
        await line.server.expect(["XLEN", "a"])
        line.server.send(garbage)
        let failure = await error
        #expect(failure?.code == .protocolViolation)
        #expect(failure?.mayHaveExecuted == true)
        #expect(failure?.isRetriable == false)
        await line.server.expectClose()
    }

    @Test(arguments: ["*2147483647\r\n", "$70000000\r\n"])
    func `A reply that is too large as announced is the fault of its command, and of no other`(
        header: String
    ) async throws {
        let line = try await Line.open()
        async let large = caught { try await line.connection.send("GET", "a") }
        await line.server.expect(["GET", "a"])
        async let other = caught { try await line.connection.xlen("b") }
        await line.server.expect(["XLEN", "b"])
        line.server.send(header)
        let failure = await large
        #expect(failure?.code == .replyTooLarge)
        #expect(failure?.command == "GET")
        #expect(await other?.code == .connectionClosed)
        await line.server.expectClose()
    }

    @Test func `Replies before the fault are delivered`() async throws {
        let line = try await Line.open()
        async let first = line.connection.xlen("a")
        await line.server.expect(["XLEN", "a"])
        async let second = caught { try await line.connection.xlen("b") }
        await line.server.expect(["XLEN", "b"])
        line.server.send(":1\r\n?\r\n")
        #expect(try await first == 1)
        #expect(await second?.code == .protocolViolation)
    }

    @Test func `A reply beyond the limits ends the connection`() async throws {
        var configuration = RedisConnection.Configuration()
        configuration.limits.maxReplyBytes = 1000
        let line = try await Line.open(configuration)
        async let error = caught { try await line.connection.send("GET", "a") }
        await line.server.expect(["GET", "a"])
        line.server.send("$2000\r\n" + String(repeating: "x", count: 1500))
        let failure = await error
        #expect(failure?.code == .replyTooLarge)
        #expect(failure?.message.contains("maxReplyBytes") == true)
        await line.server.expectClose()
    }
}
