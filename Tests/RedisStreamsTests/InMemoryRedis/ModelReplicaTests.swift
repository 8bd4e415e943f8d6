@testable import RedisStreamsTesting
import Testing

/// `WAIT` and `WAITAOF` without replicas, and with as many as a test says.
@Suite struct ModelReplicaTests {
    @Test func `WAIT returns what is there when its time is over, and holds back what is behind it`() {
        let table = ModelTable()
        #expect(table.run("WAIT 0 100") == ":0")
        #expect(table.run("XADD s 1-0 a 1") == "$3 1-0")
        #expect(table.run("WAIT 1 100") == "")
        #expect(table.run("XLEN s") == "")
        #expect(table.run("XLEN s", on: 1) == "1: :1")
        #expect(table.model.nextDeadline == 100)
        #expect(table.advance(99) == "")
        #expect(table.advance(1) == ":0 :1")
        #expect(table.model.nextDeadline == nil)
    }

    @Test func `WAIT returns as soon as enough replicas confirm, and 0 waits without an end`() {
        let table = ModelTable()
        table.run("WAIT 2 0")
        #expect(table.model.nextDeadline == nil)
        table.model.setConfirmingReplicas(1)
        #expect(table.advance(1_000_000) == "")
        table.model.setConfirmingReplicas(2)
        #expect(table.advance(0) == ":2")
        #expect(table.run("WAIT 1 100") == ":2")
    }

    @Test func `CLIENT UNBLOCK ends WAIT with what is there, or with an error`() {
        let table = ModelTable()
        table.run("WAIT 1 100", on: 1)
        let id = table.run("CLIENT ID", on: 2).split(separator: ":").last.map(String.init) ?? ""
        let other = Int(id).map { $0 - 1 } ?? 0
        #expect(table.run("CLIENT UNBLOCK \(other)", on: 2) == "1: :0 | 2: :1")
        table.run("WAIT 1 100", on: 1)
        let error = table.run("CLIENT UNBLOCK \(other) ERROR", on: 2)
        #expect(error.hasPrefix("1: -UNBLOCKED"))
    }

    @Test func `A transaction does not wait, and neither does a client that has left`() {
        let table = ModelTable()
        table.run("MULTI")
        table.run("WAIT 1 100")
        #expect(table.run("EXEC") == "*1 :0")
        table.run("WAIT 1 100", on: 1)
        table.model.disconnect(table.connection(1))
        #expect(table.model.nextDeadline == nil)
        #expect(table.advance(200) == "")
    }

    @Test(arguments: InMemoryRedis.Version.allCases)
    func `WAITAOF is there since 7_2, and counts the server's own file apart`(version: InMemoryRedis.Version) {
        let table = ModelTable(version)
        guard version.isAtLeast7_2 else {
            #expect(table.run("WAITAOF 0 0 1").hasPrefix("-ERR unknown command"))
            return
        }
        #expect(table.run("WAITAOF 0 0 1") == "*2 :0 :0")
        #expect(table.run("WAITAOF 1 0 1").hasPrefix("-ERR WAITAOF cannot be used when numlocal is set"))
        #expect(table.run("WAITAOF 2 0 1").hasPrefix("-ERR"))
        table.run("CONFIG SET appendonly yes")
        #expect(table.run("WAITAOF 1 0 1") == "*2 :1 :0")
        #expect(table.run("WAITAOF 1 1 50") == "")
        #expect(table.advance(50) == "*2 :1 :0")
        table.model.setConfirmingReplicas(1)
        #expect(table.run("WAITAOF 1 1 50") == "*2 :1 :1")
    }

    @Test func `A replica refuses WAIT`() {
        let table = ModelTable(.redis8_2)
        table.model.replicatedMaster = ("127.0.0.1", 6379)
        #expect(table.run("WAIT 0 1").hasPrefix("-ERR WAIT cannot be used with replica instances"))
        #expect(table.run("WAITAOF 0 0 1").hasPrefix("-ERR WAITAOF cannot be used with replica instances"))
    }
}
