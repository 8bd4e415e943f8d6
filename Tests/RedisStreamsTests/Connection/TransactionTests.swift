import RedisStreamsTesting
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct TransactionTests {
    @Test func `Results come from within EXEC, an error in the middle is only that command's`() async throws {
        let line = try await Line.open()
        async let results = line.connection.transaction(XLEN("a"), XLEN("b"), XLEN("c"))
        await line.server.expectTransaction(of: [["XLEN", "a"], ["XLEN", "b"], ["XLEN", "c"]])
        line.server.send(queued(3) + array([":1\r\n", "-WRONGTYPE no\r\n", ":3\r\n"]))
        let (first, second, third) = try await results
        #expect(try first.get() == 1)
        #expect(failure(of: second)?.code == .wrongType)
        #expect(try third.get() == 3)
        line.connection.close()
    }

    @Test func `A transaction that is refused says which command was to blame`() async throws {
        let line = try await Line.open()
        async let error = caught { try await line.connection.transaction(XLEN("a"), XLEN("b")) }
        await line.server.expectTransaction(of: [["XLEN", "a"], ["XLEN", "b"]])
        line.server.send("+OK\r\n+QUEUED\r\n-OOM command not allowed\r\n-EXECABORT Transaction discarded\r\n")
        #expect(await error?.code == .outOfMemory)
        line.connection.close()
    }

    @Test func `The error of a transaction says that the server is too old for it`() async throws {
        let line = try await Line.open()
        let set = XCFGSET("b", idempotencyMaxSize: 1)
        async let error = caught { try await line.connection.transaction(XLEN("a"), set) }
        await line.server.expectTransaction(of: [["XLEN", "a"], ["XCFGSET", "b", "IDMP-MAXSIZE", "1"]])
        line.server.send("+OK\r\n+QUEUED\r\n-ERR unknown command\r\n-EXECABORT Transaction discarded\r\n")
        await line.server.expect(["INFO", "server"], answer: bulk("redis_version:7.0.15"))
        let failure = await error
        #expect(failure?.code == .unsupportedByServer)
        #expect(failure?.command == "XCFGSET")
        line.connection.close()
    }

    @Test func `A transaction that is refused without a reason fails with the error of EXEC`() async throws {
        let line = try await Line.open()
        async let error = caught { try await line.connection.transaction(XLEN("a")) }
        await line.server.expectTransaction(of: [["XLEN", "a"]])
        line.server.send(queued(1) + "-EXECABORT Transaction discarded\r\n")
        #expect(await error?.code == .transactionAborted)
        line.connection.close()
    }

    @Test(arguments: ["*-1\r\n", "$-1\r\n", "*0\r\n", ":1\r\n"])
    func `An EXEC without results is a transaction that was not executed`(exec: String) async throws {
        let line = try await Line.open()
        async let error = caught { try await line.connection.transaction(XLEN("a")) }
        await line.server.expectTransaction(of: [["XLEN", "a"]])
        line.server.send(queued(1) + exec)
        #expect(await error?.code == .transactionAborted)
        line.connection.close()
    }

    @Test func `A transaction whose end is not known may have been executed`() async throws {
        let line = try await Line.open()
        async let error = caught { try await line.connection.transaction(XLEN("a")) }
        await line.server.expectTransaction(of: [["XLEN", "a"]])
        line.server.send(queued(1))
        line.server.close()
        let failure = await error
        #expect(failure?.code == .connectionClosed)
        #expect(failure?.mayHaveExecuted == true)
    }

    @Test func `A command that blocks is refused, and one that cannot be`() async throws {
        let line = try await Line.open()
        let read = XREAD([.init("a", after: .zero)], block: .seconds(1))
        let blocking = await caught { try await line.connection.transaction(XLEN("a"), read) }
        #expect(blocking?.code == .invalidArgument)
        let invalid = await caught { try await line.connection.transaction(XLEN("a"), XADD("b", [:])) }
        #expect(invalid?.code == .invalidArgument)
        line.connection.close()
    }

    @Test func `Commands after a transaction get their own replies`() async throws {
        let line = try await Line.open()
        async let error = caught { try await line.connection.transaction(XLEN("a")) }
        await line.server.expectTransaction(of: [["XLEN", "a"]])
        async let length = line.connection.xlen("b")
        await line.server.expect(["XLEN", "b"])
        line.server.send(queued(1) + "*-1\r\n" + ":7\r\n")
        #expect(await error?.code == .transactionAborted)
        #expect(try await length == 7)
        line.connection.close()
    }
}

/// The replies before the reply to `EXEC`.
private func queued(_ count: Int) -> String {
    "+OK\r\n" + String(repeating: "+QUEUED\r\n", count: count)
}

extension FakeConnection {
    fileprivate func expectTransaction(of commands: [[String]]) async {
        await expect(["MULTI"])
        for command in commands { await expect(command) }
        await expect(["EXEC"])
    }
}
