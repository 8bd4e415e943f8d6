import NIOCore
@testable import RedisStreamsTesting
import Testing

/// Requests as bytes, in both of their forms, and the time for which they block.
@Suite struct HostTests {
    /// Returns the server's answer to these bytes, with `closed` if it closes the connection then.
    private func answer(_ bytes: String, _ version: InMemoryRedis.Version, cut: Int = .max) -> String {
        let table = HostTable(version)
        let (client, connection) = table.connect()
        var rest = Bytes(bytes)[...]
        while !rest.isEmpty {
            table.send(rest.prefix(cut), from: connection)
            rest = rest.dropFirst(cut)
        }
        return client.take() + (client.hasEnded ? "closed" : "")
    }

    /// The answers are those of four real servers.
    @Test(arguments: [
        ("PING\r\n", "+PONG\r\n"), ("PING\n", "+PONG\r\n"), ("  ping  \r\n", "+PONG\r\n"),
        ("\r\n\r\nPING\r\n", "+PONG\r\n"),
        ("SET k \"a b\\x41\\n\"\r\nGET k\r\n", "+OK\r\n$5\r\na bA\n\r\n"),
        ("SET k 'it\\'s'\r\nGET k\r\n", "+OK\r\n$4\r\nit's\r\n"),
        ("SET k ''\r\nGET k\r\n", "+OK\r\n$0\r\n\r\n"),
        ("*1\r\n$4\r\nPING\r\nPING\r\n*1\r\n$4\r\nPING\r\n", "+PONG\r\n+PONG\r\n+PONG\r\n"),
        ("*-1\r\nPING\r\n", "+PONG\r\n"), ("*0\r\nPING\r\n", "+PONG\r\n"),
        ("SET k \"abc\r\nPING\r\n", "-ERR Protocol error: unbalanced quotes in request\r\nclosed"),
        ("SET k 'a'b\r\n", "-ERR Protocol error: unbalanced quotes in request\r\nclosed"),
        ("*x\r\n", "-ERR Protocol error: invalid multibulk length\r\nclosed"),
        ("*01\r\n", "-ERR Protocol error: invalid multibulk length\r\nclosed"),
        ("*1\r\nfoo\r\n", "-ERR Protocol error: expected '$', got 'f'\r\nclosed"),
        ("*1\r\n\r\n", "-ERR Protocol error: expected '$', got ' '\r\nclosed"),
        ("*1\r\n$x\r\n", "-ERR Protocol error: invalid bulk length\r\nclosed"),
        ("*1\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length\r\nclosed"),
        ("*1\r\n$600000000\r\n", "-ERR Protocol error: invalid bulk length\r\nclosed"),
        ("PING\r\n*x\r\nPING\r\n", "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\nclosed"),
        (String(repeating: "a", count: 70_000), "-ERR Protocol error: too big inline request\r\nclosed"),
        ("*" + String(repeating: "1", count: 70_000), "-ERR Protocol error: too big mbulk count string\r\nclosed"),
        ("*1\r\n$" + String(repeating: "1", count: 70_000), "-ERR Protocol error: too big bulk count string\r\nclosed"),
        ("POST / HTTP/1.1\r\n", "closed"), ("Host: foo\r\nPING\r\n", "closed"),
    ])
    func `Inline commands work, and the server answers a protocol error before it closes the connection`(
        bytes: String,
        expected: String
    ) {
        #expect(answer(bytes, .redis7_0) == expected)
        #expect(answer(bytes, .redis7_0, cut: bytes.utf8.count > 1000 ? 5000 : 1) == expected)
    }

    @Test func `Protocol errors differ by version`() {
        let (many, quoted, torn) = ("*1048577\r\n", "SET k \"a\"b\r\n", "*1\r\n$4\r\nPINGxx")
        #expect(answer(many, .redis6_2) == "-ERR Protocol error: invalid multibulk length\r\nclosed")
        #expect(answer(many, .redis7_0) == "")
        #expect(answer(quoted, .redis8_2) == "-ERR Protocol error: unbalanced quotes in request\r\nclosed")
        #expect(answer(quoted, .valkey9_1) == "+OK\r\n")
        #expect(answer(torn, .redis8_2) == "+PONG\r\n")
        #expect(answer(torn, .valkey9_1) == "-ERR Protocol error: invalid CRLF in request\r\nclosed")
    }

    @Test(arguments: InMemoryRedis.Version.allCases)
    func `A blocked read waits no shorter than BLOCK`(version: InMemoryRedis.Version) {
        let table = HostTable(version)
        table.advance(by: .microseconds(900))
        let (client, connection) = table.connect()
        table.send(["XREAD", "BLOCK", "5", "STREAMS", "s", "$"].map { Bytes($0) }, from: connection)
        table.advance(by: .microseconds(4999))
        #expect(client.take() == "")
        table.advance(by: .microseconds(1000))
        #expect(client.take() == "*-1\r\n")
    }

    @Test(arguments: InMemoryRedis.Version.allCases, ["18446744073710", "4611686018427387903", "9223372036854775807"])
    func `BLOCK may exceed the range of the clock`(version: InMemoryRedis.Version, timeout: String) {
        let table = HostTable(version)
        let (client, connection) = table.connect()
        table.send(["XREAD", "BLOCK", timeout, "STREAMS", "s", "$"].map { Bytes($0) }, from: connection)
        let isRefused = version.isAtLeast7_2 && timeout == "9223372036854775807"
        #expect(client.take() == (isRefused ? "-ERR timeout is out of range\r\n" : ""))
        table.advance(by: .hours(24 * 365))
        let (_, other) = table.connect()
        table.send(["XADD", "s", "5-0", "a", "1"].map { Bytes($0) }, from: other)
        #expect(client.take().isEmpty == isRefused)
    }
}
