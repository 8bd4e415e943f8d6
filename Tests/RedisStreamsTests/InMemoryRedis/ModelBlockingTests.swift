@testable import RedisStreamsTesting
import Testing

/// How blocked reads end, by version. The replies were observed on real servers.
@Suite struct ModelBlockingTests {
    /// Returns a table whose connection 1 is blocked in an `XREADGROUP`.
    private func blockedTable(_ version: InMemoryRedis.Version) -> ModelTable {
        let table = ModelTable(version)
        table.run("XGROUP CREATE s g $ MKSTREAM")
        #expect(table.run("XREADGROUP GROUP g c COUNT 1 BLOCK 1000 STREAMS s >", on: 1) == "")
        return table
    }

    private func prefix(_ text: String) -> String {
        let reply = text.split(separator: " | ").first { $0.hasPrefix("1:") }
        return reply.map { String($0.split(separator: " ")[1]) } ?? ""
    }

    @Test(arguments: InMemoryRedis.Version.allCases)
    func `A new entry goes to the client that has waited longest`(version: InMemoryRedis.Version) {
        let table = blockedTable(version)
        #expect(table.run("XREADGROUP GROUP g d BLOCK 1000 STREAMS s >", on: 2) == "")
        #expect(table.run("XADD s 5-0 a 1") == "$3 5-0 | 1: *1 *2 $1 s *1 *2 $3 5-0 *2 $1 a $1 1")
        #expect(table.model.nextDeadline == 1000)
    }

    @Test func `A wait ends when its time is over, whatever the wall clock does`() {
        let table = blockedTable(.redis7_0)
        #expect(table.advance(999, jumping: 3_600_000) == "")
        #expect(table.advance(1, jumping: -7_200_000) == "1: *-1")
        #expect(table.model.nextDeadline == nil)
    }

    @Test(arguments: ["DEL s", "UNLINK s", "FLUSHALL", "FLUSHDB", "RENAME s t", "SWAPDB 0 1", "PEXPIRE s 0"])
    func `A read whose key is removed ends with an error, except on Redis 6_2`(command: String) {
        let expected = ["", "-UNBLOCKED", "-NOGROUP", "-NOGROUP"]
        for (version, word) in zip(InMemoryRedis.Version.allCases, expected) {
            #expect(prefix(blockedTable(version).run(command)) == word, "\(version)")
        }
    }

    @Test func `A read whose key expires ends with an error, except on Redis 6_2`() {
        let expected = ["", "-UNBLOCKED", "-NOGROUP", "-NOGROUP"]
        for (version, word) in zip(InMemoryRedis.Version.allCases, expected) {
            let table = blockedTable(version)
            table.run("PEXPIRE s 300")
            #expect(table.model.nextDeadline == 300)
            #expect(prefix(table.advance(300)) == word, "\(version)")
        }
    }

    @Test func `A read whose key is replaced by a string ends with an error, except on Redis 6_2`() {
        let expected = ["", "-UNBLOCKED", "-WRONGTYPE", "-WRONGTYPE"]
        for (version, word) in zip(InMemoryRedis.Version.allCases, expected) {
            #expect(prefix(blockedTable(version).run("SET s x")) == word, "\(version)")
        }
    }

    @Test func `A read whose group is destroyed ends with an error`() {
        for version in InMemoryRedis.Version.allCases {
            let reply = blockedTable(version).run("XGROUP DESTROY s g")
            #expect(prefix(reply) == "-NOGROUP", "\(version)")
            #expect(reply.contains("this client was blocked on") == !version.isAtLeast7_2)
        }
    }

    @Test(arguments: InMemoryRedis.Version.allCases)
    func `A read waits on when its group is set back, or its stream recreated with lower ids`(
        version: InMemoryRedis.Version
    ) {
        let table = ModelTable(version)
        table.run("XADD s 100-0 a 1")
        table.run("XGROUP CREATE s g $")
        table.run("XREADGROUP GROUP g c BLOCK 1000 STREAMS s >", on: 1)
        #expect(table.run("XGROUP SETID s g 0") == "+OK")
        table.run("XREAD BLOCK 1000 STREAMS f $", on: 2)
        table.run("XADD f 100-0 a 1")
        table.run("XREAD BLOCK 1000 STREAMS f 100-0", on: 2)
        #expect(table.run("DEL f") == ":1")
        #expect(table.run("XADD f 5-0 a 1") == "$3 5-0")
    }

    @Test(arguments: InMemoryRedis.Version.allCases)
    func `Commands after a blocked one are executed when it ends`(version: InMemoryRedis.Version) {
        let table = blockedTable(version)
        #expect(table.run("PING", on: 1) == "")
        let error = "1: -UNBLOCKED client unblocked via CLIENT UNBLOCK"
        #expect(table.run("CLIENT UNBLOCK 2 ERROR", on: 2) == "\(error) | 2: :1 | 1: +PONG")
    }

    @Test func `After CLIENT KILL, a stale connection takes no more messages`() {
        let table = blockedTable(.redis7_0)
        #expect(table.run("CLIENT KILL ID 2") == "1: closed | :1")
        #expect(table.run("XADD s 5-0 a 1") == "$3 5-0")
        #expect(table.run("XREADGROUP GROUP g c STREAMS s >") == "*1 *2 $1 s *1 *2 $3 5-0 *2 $1 a $1 1")
    }

    @Test func `Reads do not block in a transaction`() {
        let table = ModelTable()
        table.run("XGROUP CREATE s g $ MKSTREAM")
        table.run("MULTI")
        table.run("XREADGROUP GROUP g c BLOCK 1000 STREAMS s >")
        #expect(table.run("EXEC") == "*1 *-1")
    }
}
