import NIOCore
@testable import RedisStreams
@testable import RedisStreamsTesting
import Testing

/// No command crashes the process in which the in-memory server runs.
@Suite struct CommandLineFuzzTests {
    /// For each command, lines with all of its options. The tests change them; see ``mutated(_:_:)``.
    static let lines: [[String]] =
        """
        xadd s NOMKSTREAM KEEPREF MAXLEN ~ 5 LIMIT 10 5-* a 1
        xadd s DELREF MINID = 5-0 * a 1 b 2
        xtrim s MAXLEN ~ 3 LIMIT 10 ACKED
        xtrim s MINID = 3-0
        xlen s
        xrange s - + COUNT 3
        xrevrange s + (1-0 COUNT 3
        xdel s 1-0 2-0
        xdelex s ACKED IDS 2 1-0 2-0
        xsetid s 9-0 ENTRIESADDED 100 MAXDELETEDID 1-0
        xread COUNT 3 BLOCK 18446744073710 STREAMS s t 0 $
        xread BLOCK 1 STREAMS s +
        xinfo STREAM s FULL COUNT 3
        xinfo CONSUMERS s g
        xinfo GROUPS s
        xinfo HELP
        xreadgroup GROUP g c COUNT 3 BLOCK 9223372036854775807 NOACK STREAMS s t > 0
        xgroup CREATE s g $ MKSTREAM ENTRIESREAD 5
        xgroup SETID s g 0 ENTRIESREAD 5
        xgroup CREATECONSUMER s g c
        xgroup DELCONSUMER s g c
        xgroup DESTROY s g
        xack s g 1-0 2-0
        xackdel s g DELREF IDS 2 1-0 2-0
        xpending s g IDLE 5 - + 10 c
        xclaim s g c 0 1-0 2-0 IDLE 5 TIME 5 RETRYCOUNT 5 FORCE JUSTID LASTID 5-0
        xautoclaim s g c 0 0 COUNT 5 JUSTID
        del s t
        unlink s
        exists s t
        type s
        rename s t
        expire s 100 GT
        pexpire s 9223372036854775807 NX
        persist s
        ttl s
        pttl s
        keys *
        dbsize
        flushall ASYNC
        flushdb
        swapdb 0 1
        get k
        set k 5 EX 9223372036854775 GET NX
        set k 9223372036854775807 PX 5 KEEPTTL
        incr k
        decr k
        incrby k -9223372036854775808
        hset h f 1 g 2
        hget h f
        hmget h f g
        hdel h f g
        hgetall h
        ping x
        echo x
        auth default x
        hello 3 AUTH default x SETNAME c
        quit
        reset
        select 1
        client LIST ID 1 2
        client KILL ID 1 ADDR x SKIPME no TYPE normal
        client UNBLOCK 1 ERROR
        client SETNAME c
        info server
        time
        role
        wait 0 9223372036854775807
        waitaof 0 0 9223372036854775807
        command COUNT
        config SET stream-node-max-entries 5 stream-node-max-bytes 4kb
        config GET stream-node-max-entries *
        multi
        exec
        discard
        watch s t
        unwatch
        eval x 1 s a
        evalsha x 1 s a
        script LOAD x
        script EXISTS x
        cluster SLOTS
        cluster SHARDS
        cluster NODES
        cluster KEYSLOT s
        cluster COUNTKEYSINSLOT 1
        asking
        readonly
        readwrite
        """
        .split(separator: "\n").map { $0.split(separator: " ").map(String.init) } + scripts

    private static let scripts = NativeScript.all.map { script in
        ["eval", script.source.text, "2", "s", "t", "g", "c", "1-0", "1", "5", "2", "a", "1", "2", "", "2", "b", "2"]
    }

    /// The words that replace arguments.
    private static let words =
        [
            "", "0", "-0", "1", "-1", "-3", "5", "100", "x", "s", "g", "c", "*", "+", "-", "$", ">", "~", "=", "(", "?",
            "(1-0", "1-0", "1-", "-1-", "5-*", "0-0", "+1-0", "1--01", "(18446744073709551615-18446744073709551615",
            "18446744073709551615-18446744073709551615", "18446744073709551615-*", "18446744073709551615",
            "18446744073709551616", "18446744073710", "9223372036854775807", "9223372036854775806",
            "922337203685477580",
            "-9223372036854775808", "-9223372036854775807", "1152921504606846975", "\0", "1\0", "\r\n", "é", "move",
            "uncrashed", "1kb", "9223372036854775807gb", String(repeating: "9", count: 200),
        ] + Set(lines.joined()).sorted()

    /// Returns a line with none to three of its arguments removed, doubled, swapped or replaced.
    private static func mutated(_ line: [String], _ random: inout SeededGenerator) -> [String] {
        var line = line
        for _ in 0..<Int.random(in: 0...3, using: &random) where !line.isEmpty {
            let (position, other) = (
                Int.random(in: line.indices, using: &random), line.indices.randomElement(using: &random)
            )
            let word = words.randomElement(using: &random) ?? ""
            switch Int.random(in: 0..<8, using: &random) {
            case 0: line.remove(at: position)
            case 1: line.removeSubrange(position...)
            case 2: line.insert(line[position], at: position)
            case 3: line.swapAt(position, other ?? position)
            case 4: line.insert(word, at: position)
            default: line[position] = word
            }
        }
        return line
    }

    @Test func `There is a line for every command`() {
        let names = Set(Self.lines.map { Bytes($0[0]).uppercase })
        #expect(names == Set(CommandTable.specs.keys))
    }

    @Test(arguments: InMemoryRedis.Version.allCases, 1...4)
    func `A server still answers after any commands`(version: InMemoryRedis.Version, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        // Wall clocks in 1970, before it, and in the present.
        let table = HostTable(version, wallTime: [0, -5_000_000, 1_700_000_000_000].randomElement(using: &random) ?? 0)
        sendAnyCommands(to: table, &random)
    }

    /// Half of the slots belong to another node, and those of some keys are moving.
    @Test(arguments: InMemoryRedis.Version.allCases, 1...4)
    func `A node of a cluster still answers after any commands`(version: InMemoryRedis.Version, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        sendAnyCommands(to: try HostTable(nodeOf: version, moving: ["s", "t", "h", "o"]), &random)
    }

    private func sendAnyCommands(to table: HostTable, _ random: inout SeededGenerator) {
        for _ in 0..<100 {
            let (client, connection) = table.connect()
            for _ in 0..<40 {
                guard let line = Self.lines.randomElement(using: &random) else { return }
                table.send(Self.mutated(line, &random).map { Bytes($0) }, from: connection)
            }
            table.advance(by: .milliseconds(.random(in: 0...5, using: &random)))
            if random.chance(0.1) {
                table.host.stepClock(milliseconds: .random(in: -99_999_999...99_999_999, using: &random))
            }
            table.host.closed(connection)
            _ = client.take()
        }
        let (client, connection) = table.connect()
        table.send(["ECHO", "still here"].map { Bytes($0) }, from: connection)
        #expect(client.take() == "$10\r\nstill here\r\n")
    }

    @Test(arguments: InMemoryRedis.Version.allCases, 1...4)
    func `A server still answers after any bytes`(version: InMemoryRedis.Version, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let table = HostTable(version)
        let parts = Self.words + ["\r\n", "*", "$", "*2\r\n", "$4\r\nPING\r\n", "$1\r\n", "\"", "'", "\\x4", " ", "\n"]
        for _ in 0..<150 {
            let (client, connection) = table.connect()
            let text = (0..<Int.random(in: 1...30, using: &random)).compactMap { _ in
                parts.randomElement(using: &random)
            }
            for piece in Bytes(text.joined()).cut(longest: 60, using: &random) { table.send(piece, from: connection) }
            table.host.closed(connection)
            _ = client.take()
        }
        let (client, connection) = table.connect()
        table.send(["ECHO", "still here"].map { Bytes($0) }, from: connection)
        #expect(client.take() == "$10\r\nstill here\r\n")
    }
}
