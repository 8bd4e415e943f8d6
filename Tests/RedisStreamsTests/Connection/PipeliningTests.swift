import NIOCore
import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct PipeliningTests {
    @Test func `Replies that are split anywhere reach the commands that they belong to`() async throws {
        let wire = ":1\r\n" + bulk("two") + "-WRONGTYPE three\r\n" + array([":4\r\n"])
        let bytes = [UInt8](wire.utf8)
        for cut in 0...bytes.count {
            let line = try await Line.open()
            async let first = line.connection.send("A")
            await line.server.expect(["A"])
            async let second = line.connection.send("B")
            await line.server.expect(["B"])
            async let third = caught { try await line.connection.send("C") }
            await line.server.expect(["C"])
            async let fourth = line.connection.send("D")
            await line.server.expect(["D"])
            line.server.send(Array(bytes[..<cut]))
            line.server.send(Array(bytes[cut...]))
            let replies = try await (first.integer, second.string, third?.code, fourth.array?.count)
            #expect(replies.0 == 1)
            #expect(replies.1 == "two")
            #expect(replies.2 == .wrongType)
            #expect(replies.3 == 1)
            line.connection.close()
        }
    }

    @Test func `Many tasks get each its own reply`() async throws {
        let line = try await Line.open()
        let server = Task {
            while let command = await line.server.nextCommand() { line.server.send(bulk(command[1])) }
        }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<500 {
                group.addTask { try await line.connection.send("ECHO", "\(number)").string == "\(number)" }
            }
            for try await isOwn in group { #expect(isOwn) }
        }
        line.connection.close()
        await server.value
    }

    @Test func `Commands of one turn of the event loop leave in one write`() async throws {
        let line = try await Line.open()
        let pending = try await line.inOneTurn { connection in
            (0..<3).map { number in connection.enqueue(count: 1) { $0.write(XLEN(StreamKey("s\(number)"))) } }
        }
        for number in 0..<3 { await line.server.expect(["XLEN", "s\(number)"], answer: ":\(number)\r\n") }
        for (number, replies) in pending.enumerated() {
            let outcome = try await replies.outcomesInAnyCase()[0].get().integer
            #expect(outcome == number)
        }
        #expect(line.log.joined == [["XLEN", "XLEN", "XLEN"]])
        line.connection.close()
    }

    @Test func `A pipeline has a result for each command, also with an error in the middle`() async throws {
        let line = try await Line.open()
        async let results = line.connection.pipeline(XLEN("a"), XLEN("b"), PING())
        await line.server.expect(["XLEN", "a"], answer: ":1\r\n")
        await line.server.expect(["XLEN", "b"], answer: "-WRONGTYPE Operation against a key\r\n")
        await line.server.expect(["PING"], answer: "+PONG\r\n")
        let (first, second, third) = await results
        #expect(try first.get() == 1)
        #expect(failure(of: second)?.code == .wrongType)
        #expect(failure(of: second)?.command == "XLEN")
        #expect(failure(of: third)?.code == nil)
        #expect(line.log.joined == [["XLEN", "XLEN", "PING"]])
        line.connection.close()
    }

    @Test func `After a pipeline that is cut off each command has its own result`() async throws {
        let line = try await Line.open()
        async let results = line.connection.pipeline([XLEN("a"), XLEN("b"), XLEN("c")])
        for key in ["a", "b", "c"] { await line.server.expect(["XLEN", key]) }
        line.server.send(":1\r\n:")
        line.server.close()
        let all = await results
        #expect(try all[0].get() == 1)
        for result in all.dropFirst() {
            #expect(failure(of: result)?.code == .connectionClosed)
            #expect(failure(of: result)?.mayHaveExecuted == true)
        }
    }

    @Test func `Of a pipeline with a command that cannot be, nothing is sent`() async throws {
        let line = try await Line.open()
        let (first, second) = await line.connection.pipeline(XLEN("a"), XADD("b", [:]))
        #expect(failure(of: first)?.code == .invalidArgument)
        #expect(failure(of: second)?.code == .invalidArgument)
        async let length = line.connection.xlen("c")
        await line.server.expect(["XLEN", "c"], answer: ":0\r\n")
        #expect(try await length == 0)
        line.connection.close()
    }

    @Test func `A command that writes nothing is refused, with all that would leave with it`() async throws {
        let line = try await Line.open()
        let alone = await caught { try await line.connection.execute(Mute()) }
        #expect(alone?.code == .invalidArgument)
        #expect(alone?.command == "MUTE")
        async let before = line.connection.xlen("a")
        let (first, second) = await line.connection.pipeline(XLEN("b"), Mute())
        #expect(failure(of: first)?.code == .invalidArgument)
        #expect(failure(of: second)?.code == .invalidArgument)
        let transaction = await caught { try await line.connection.transaction(XLEN("b"), Mute()) }
        #expect(transaction?.code == .invalidArgument)
        await line.server.expect(["XLEN", "a"], answer: ":7\r\n")
        #expect(try await before == 7)
        async let after = line.connection.xlen("c")
        await line.server.expect(["XLEN", "c"], answer: ":8\r\n")
        #expect(try await after == 8)
        line.connection.close()
    }

    @Test func `What would be too much for one write is refused`() {
        var writer = CommandWriter(maxBytes: 100)
        writer.write(PING())
        #expect(writer.invalid == nil)
        writer.write(RawCommand("SET", "k", .text(String(repeating: "x", count: 100))))
        #expect(writer.invalid?.code == .invalidArgument)
        #expect(writer.invalid?.command == "SET")
        writer.write(PING())
        let (_, commands) = writer.finish()
        #expect(commands.count == 3)
    }

    @Test func `What has left makes room for more, and is asked for only when there is none`() {
        var unsent = UnsentBytes(limit: 100)
        #expect(unsent.admit(60) { fatalError("asked") })
        #expect(unsent.admit(40) { fatalError("asked") })
        #expect(!unsent.admit(1) { 100 })
        #expect(unsent.admit(70) { 30 })
        #expect(!unsent.admit(101) { 0 })
        #expect(unsent.admit(100) { 0 })
    }

    @Test func `The client asks a server once for its version if commands of a pipeline may be too new for it`()
        async throws
    {
        let line = try await Line.open()
        async let results = line.connection.pipeline(
            XCFGSET("a", idempotencyMaxSize: 1),
            XLEN("b"),
            XNACK("c", group: "g", .fail, ids: [.zero])
        )
        await line.server.expect(["XCFGSET", "a", "IDMP-MAXSIZE", "1"], answer: "-ERR unknown command\r\n")
        await line.server.expect(["XLEN", "b"], answer: "-ERR something\r\n")
        #expect(await line.server.nextCommand()?.first == "XNACK")
        line.server.send("-ERR unknown command\r\n")
        await line.server.expect(["INFO", "server"], answer: bulk("redis_version:7.0.15"))
        let (first, second, third) = await results
        #expect(failure(of: first)?.code == .unsupportedByServer)
        #expect(failure(of: first)?.command == "XCFGSET")
        #expect(failure(of: second)?.code == .serverError)
        #expect(failure(of: third)?.code == .unsupportedByServer)
        async let list = line.connection.pipeline([XCFGSET("a", idempotencyMaxSize: 1)])
        #expect(await line.server.nextCommand()?.first == "XCFGSET")
        line.server.send("-ERR unknown command\r\n")
        await line.server.expect(["INFO", "server"], answer: bulk("redis_version:8.8.0"))
        #expect(failure(of: await list[0])?.code == .serverError)
        line.connection.close()
    }

    @Test func `An empty pipeline sends nothing`() async throws {
        let line = try await Line.open()
        let results = await line.connection.pipeline([XLEN]())
        #expect(results.isEmpty)
        line.connection.close()
    }
}

/// A command that forgot to encode itself.
private struct Mute: RedisCommand {
    static let name = "MUTE"
    func encode(into encoder: inout CommandEncoder) {}
    func decode(_ reply: RedisReply) throws(RedisError) {}
}

/// Why there is no value.
func failure<Value>(of result: Result<Value, RedisError>) -> RedisError? {
    if case .failure(let error) = result { error } else { nil }
}
