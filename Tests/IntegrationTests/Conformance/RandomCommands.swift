@testable import RedisStreams
import RedisStreamsTesting

/// Random commands on few keys, groups, consumers and ids, so that they affect each other. A seed always gives the same
/// commands.
struct RandomCommands {
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
            return value ^ value >> 31
        }
    }

    private var random: Generator
    private var lastID = 0
    private let hasPolicies: Bool

    init(seed: UInt64, version: InMemoryRedis.Version) {
        random = Generator(state: seed)
        hasPolicies = version == .redis8_2
    }

    mutating func make(_ count: Int) -> [[String]] {
        (0..<count).map { _ in
            let command = next()
            return chance(5) ? mutated(command) : command
        }
    }

    /// The command with an argument that is missing, doubled, inserted or replaced. Leaves out blocking commands, which
    /// might never end, and changes by which the reply would depend on a few milliseconds.
    private mutating func mutated(_ command: [String]) -> [String] {
        guard command[0].hasPrefix("X"), !command.contains("BLOCK") else { return command }
        var command = command
        let position = 1 + number(command.count - 1)
        let hasIdle = ["XCLAIM", "XAUTOCLAIM", "XPENDING"].contains(command[0])
        switch number(hasIdle ? 2 : 4) {
        case 0: command[position] = oddity()
        case 1: command.insert(oddity(), at: position)
        case 2: command.remove(at: position)
        default: command.insert(command[position], at: position)
        }
        return command
    }

    private static let oddities =
        [""]
            + """
            0 -1 x 9000000 9223372036854775807 -9223372036854775808 9223372036854775808 + - $ > ~ = ( COUNT LIMIT MAXLEN \
            MINID KEEPREF ACKED IDS NOACK STREAMS JUSTID FORCE GROUP FULL MKSTREAM ENTRIESREAD HELP 0-0 s g a
            """
        .split(separator: " ").map(String.init)

    private mutating func oddity() -> String { Self.oddities[number(Self.oddities.count)] }

    private mutating func next() -> [String] {
        switch number(100) {
        case 0..<22: add()
        case 22..<40: read()
        case 40..<48: ["XACK", key(), group()] + ids(3)
        case 48..<54: pending()
        case 54..<62: claim()
        case 62..<66: autoclaim()
        case 66..<72: delete()
        case 72..<75: trim()
        case 75..<82: changeGroup()
        case 82..<88: inform()
        case 88..<91: range()
        case 91..<97: script()
        default: other()
        }
    }

    // MARK: Parts

    private mutating func number(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

    private mutating func one(_ choices: String...) -> String { choices[number(choices.count)] }

    private mutating func chance(_ percent: Int) -> Bool { number(100) < percent }

    private mutating func key() -> String { chance(2) ? "text" : one("s", "s", "s", "t") }
    private mutating func group() -> String { chance(3) ? "none" : one("g", "g", "h") }
    private mutating func consumer() -> String { one("a", "b", "c") }

    private static let oddIDs =
        ["", " 7-0"]
        + "- + x 1- 0-0 18446744073709551615-18446744073709551615 01-1 +3-+1 5--01 5--1 -1-0 2-*"
        .split(separator: " ").map(String.init)

    private mutating func id() -> String {
        if chance(2) { return Self.oddIDs[number(Self.oddIDs.count)] }
        let recent = max(0, lastID - number(chance(70) ? 12 : 120))
        return chance(15) ? "\(recent)" : "\(recent)-\(number(2))"
    }

    private mutating func ids(_ most: Int) -> [String] { (0...number(most)).map { _ in id() } }

    private mutating func bound(_ open: String) -> String {
        chance(50) ? open : (chance(20) ? "(" : "") + id()
    }

    private mutating func sometimes(_ percent: Int, _ words: String...) -> [String] { chance(percent) ? words : [] }

    private mutating func policy() -> [String] {
        hasPolicies && chance(40) ? [one("KEEPREF", "DELREF", "ACKED")] : []
    }

    // MARK: Commands

    private mutating func add() -> [String] {
        let trimming = chance(25) ? threshold() + policy() : []
        var id = "\(lastID + 1)-\(number(2))"
        switch number(20) {
        case 0: id = self.id()
        case 1: id = "\(lastID + 1)-*"
        case 2: id = "\(lastID)-*"
        default: break
        }
        lastID += 1
        let long = String(repeating: "x", count: number(200))
        let fields = chance(80) ? ["n", "\(number(300))"] : ["field", long, "m", "-7"]
        return ["XADD", key()] + sometimes(5, "NOMKSTREAM") + trimming + [id] + (chance(2) ? ["odd"] : fields)
    }

    private mutating func threshold() -> [String] {
        let sign = chance(60) ? [one("~", "=")] : []
        let value = chance(70) ? ["MAXLEN"] + sign + ["\(number(150))"] : ["MINID"] + sign + [id()]
        return value + (chance(sign == ["~"] ? 20 : 2) ? ["LIMIT", "\(number(250))"] : [])
    }

    private mutating func read() -> [String] {
        let count = sometimes(80, "COUNT", "\(number(6))")
        let block = sometimes(1, "BLOCK", "1")
        if chance(20) {
            let start = one("$", "0", "+", "+", id())
            let second = chance(20)
            return ["XREAD"] + count + block + ["STREAMS", key()] + (second ? ["t", start, "+"] : [start])
        }
        let what = chance(75) ? ">" : one("0", "0", "+", id())
        let options = ["XREADGROUP", "GROUP", group(), consumer()] + count + block + sometimes(10, "NOACK")
        if chance(10) { return options + ["STREAMS", "s", "t", what, ">"] }
        return options + ["STREAMS", key(), what]
    }

    private mutating func pending() -> [String] {
        if chance(30) { return ["XPENDING", key(), group()] }
        return ["XPENDING", key(), group()] + sometimes(30, "IDLE", one("0", "3600000"))
            + [bound("-"), bound("+"), "\(number(12))"] + sometimes(50, consumer())
    }

    private mutating func claim() -> [String] {
        ["XCLAIM", key(), group(), consumer(), one("0", "0", "3600000")] + ids(4)
            + sometimes(20, "IDLE", one("7200000", "0", "-5")) + sometimes(8, "TIME", one("1000", "99999999999999"))
            + sometimes(15, "RETRYCOUNT", one("0", "5", "2000")) + sometimes(20, "FORCE") + sometimes(25, "JUSTID")
            + sometimes(3, "LASTID", id())
    }

    private mutating func autoclaim() -> [String] {
        ["XAUTOCLAIM", key(), group(), consumer(), one("0", "3600000"), chance(60) ? "0" : bound("-")]
            + sometimes(60, "COUNT", "\(number(6))") + sometimes(25, "JUSTID")
    }

    private mutating func delete() -> [String] {
        guard hasPolicies, chance(60) else { return ["XDEL", key()] + ids(2) }
        let ids = ids(3)
        let command = chance(50) ? ["XDELEX", key()] : ["XACKDEL", key(), group()]
        return command + policy() + ["IDS", "\(ids.count + (chance(3) ? 1 : 0))"] + ids
    }

    private mutating func trim() -> [String] {
        ["XTRIM", key()] + threshold() + policy()
    }

    private mutating func changeGroup() -> [String] {
        switch number(10) {
        case 0..<4:
            return ["XGROUP", "CREATE", key(), group(), one("0", "$", id())] + sometimes(60, "MKSTREAM")
                + sometimes(10, "ENTRIESREAD", "\(number(50))")
        case 4, 5: return ["XGROUP", "SETID", key(), group(), one("0", "$", id())] + sometimes(10, "ENTRIESREAD", "7")
        case 6: return ["XGROUP", "DESTROY", key(), chance(60) ? "none" : group()]
        case 7: return ["XGROUP", "CREATECONSUMER", key(), group(), consumer()]
        case 8: return ["XGROUP", "DELCONSUMER", key(), group(), consumer()]
        default:
            return ["XSETID", key(), chance(60) ? "\(lastID + 1)-0" : id()]
                + sometimes(20, "ENTRIESADDED", "\(number(400))") + sometimes(20, "MAXDELETEDID", id())
        }
    }

    private mutating func inform() -> [String] {
        switch number(5) {
        case 0 where chance(10): [one("XINFO", "XGROUP", "CONFIG"), "HELP"]
        case 0: ["XINFO", "STREAM", key()]
        case 1: ["XINFO", "STREAM", key(), "FULL"] + sometimes(50, "COUNT", "\(number(5))")
        case 2: ["XINFO", "CONSUMERS", key(), group()]
        case 3: ["XLEN", key()]
        default: ["XINFO", "GROUPS", key()]
        }
    }

    private mutating func range() -> [String] {
        let count = sometimes(70, "COUNT", "\(number(6))")
        return chance(50)
            ? ["XRANGE", key(), bound("-"), bound("+")] + count : ["XREVRANGE", key(), bound("+"), bound("-")] + count
    }

    private mutating func script() -> [String] {
        let (source, keys, arguments) = scriptCall()
        return ["EVAL", source.source, "\(keys.count)"] + keys + arguments
    }

    private mutating func scriptCall() -> (Script, [String], [String]) {
        let subject = [group(), consumer()]
        let ids = (0...number(4)).map { _ in 2 * max(1, lastID - number(15)) + number(2) }.sorted()
            .map { "\($0 / 2)-\($0 % 2)" }
        switch number(13) {
        case 10: return (.probe, [chance(5) ? "text" : key()], ids)
        case 11: return (.nextEntry, [key()], [ids[0]])
        case 12:
            let start = one("", "-", "(" + ids[0])
            return (.deregister, [key()], subject + [one("left", "returned"), "99999999", start])
        case 9: return (.snapshot, [key()], subject)
        case 7:
            let mode = chance(20) ? ["move"] : []
            return (.savePosition, [chance(5) ? "text" : "position"], [ids[0], "\(number(3))"] + mode)
        case 8:
            let options = [one("", "1000", "99999999999999"), one("", "0", "60"), one("", "3600000")]
            return (.trim, [key()] + sometimes(50, "position"), options)
        case 0: return (.renew, [key()], subject + ids)
        case 1: return (.acknowledge, [key()], subject + ids)
        case 2: return (.requeue, [key()], subject + ids.flatMap { [$0, "7200000", "\(number(4) * 1000)"] })
        case 3, 4: return (.reclaim, [key()], subject + [one("uncrashed", "counted", "together", "alone")] + ids)
        case 5:
            let outputs = ["2", one("", "40"), "2", "out", "1"] + (chance(50) ? ["2", "", "2", "k", "v"] : [])
            return (.publish, [key(), chance(5) ? "text" : "outputs"], subject + [ids[0]] + outputs)
        default:
            // No consumer is idle for so long, since the clocks of the two servers differ.
            let names = ["99999999", one("", "a"), ""] + (chance(50) ? ["a", "b"] : [])
            if chance(30) { return (.removeNames, [key()], subject + names) }
            return chance(50)
                ? (.deadLetters, [key()], [ids[0], "\(1 + number(5))", "a", "b", "c"])
                : (.redrive, ["t", "s"], [ids[0], group(), ids[0], "a"])
        }
    }

    private mutating func other() -> [String] {
        switch number(19) {
        case 16: ["CONFIG", "SET", "stream-node-max-entries", one("100", "10", "3", "1", "0", "x", "-1")]
        case 17: ["CONFIG", "SET", "stream-node-max-bytes", one("4096", "4096", "1kb", "200", "0", "1q")]
        case 18: ["DISCARD"]
        case 14: ["HMGET", "position", "id", "epoch"]
        case 15: ["DEL", "position"]
        case 0: ["DEL", one("s", "t", "outputs")]
        case 1: ["EXISTS", "s", "t", "s"]
        case 2: ["TYPE", key()]
        case 3: ["RENAME", "t", one("t", "s")]
        case 4: ["SET", "text", "value"]
        case 5: ["XADD", "outputs", "*", "f", "v"]
        case 6: ["XRANGE", "outputs", "-", "+", "COUNT", "3"]
        case 7: ["MULTI"]
        case 8: ["EXEC"]
        case 9: ["EXEC"]
        case 10: ["XINFO", one("STREAM", "NONSENSE")]
        case 11: ["XGROUP", one("CREATE", "NONSENSE"), "s"]
        case 12: ["EXPIRE", key(), "100"]
        default: ["EVALSHA", Script.renew.sha1, "1", "s", "g", "a", "1-0"]
        }
    }
}
