@testable import RedisStreams
@testable import RedisStreamsTesting
import Testing

/// Commands to the nodes of a cluster, and what happens to one slot between them. It runs on a real cluster and on the
/// in-memory one.
///
/// Each line is one step:
/// - `a XLEN $1`: a command on connection `a`, and its reply. The first letter of a connection is its node: `a` serves
///   the slot at the beginning, `b` serves it in the end, and `c` is another master.
/// - `~ a1 XREAD …`: a command that blocks.
/// - `? a1`: the reply to it, which has to come now.
/// - `! a1`: whether a reply has come.
/// - `x a1`: whether the node has closed the connection.
/// - `begin`, `keys`, `finish`: the steps of a slot that moves; `atomic`: all at once.
/// - `failover`: `b` is a replica of `a` and takes over. `down`: a slot of `c` is served by nobody, until `up`.
///
/// `$1`, `$2` and `$3` are keys of the slot, `$O` is a key of another slot of `a`, `$SHA` and `$SOURCE` are a script, `$SHA2`
/// and `$SOURCE2` another one.
struct ClusterScenario: Sendable, CustomTestStringConvertible {
    enum Lever: String, Sendable {
        case begin, keys, finish, atomic, failover, down, up
    }

    enum Step: Sendable {
        case send(String, [String])
        case block(String, [String])
        case reply(String)
        case silence(String)
        case end(String)
        case lever(Lever)
    }

    let name: String
    private let text: String
    /// Whether only Valkey can do so.
    var needsValkey = false

    init(_ name: String, needsValkey: Bool = false, _ text: String) {
        self.name = name
        self.needsValkey = needsValkey
        self.text = text
    }

    var testDescription: String { name }

    var slot: Int { StreamKey("{\(name)}").slot }

    /// The positions of the nodes `a`, `b` and `c` among three masters and their replicas.
    var places: [Character: Int] {
        let a = slot * 3 / 16_384
        return ["a": a, "b": hasFailover ? 3 + a : (a + 1) % 3, "c": (a + 2) % 3]
    }

    /// A slot of `c`.
    var foreignSlot: Int { (0..<16_384).first { $0 * 3 / 16_384 == places["c"] } ?? 0 }

    private var hasFailover: Bool { text.contains("failover") }

    /// A key of another slot that the same master serves.
    private var otherKey: String {
        let keys = (0..<1000).map { "other-\($0)" }
        return keys.first { StreamKey($0).slot != slot && StreamKey($0).slot * 3 / 16_384 == places["a"] } ?? ""
    }

    var steps: [Step] {
        text.split(separator: "\n").map { line in
            let words = line.split(separator: " ").map { word in
                switch word {
                case "$1", "$2", "$3": "{\(name)}\(word.dropFirst())"
                case "$O": otherKey
                case "$SHA": Script.renew.sha1
                case "$SOURCE": Script.renew.source
                case "$SHA2": Script.acknowledge.sha1
                case "$SOURCE2": Script.acknowledge.source
                default: String(word)
                }
            }
            if let lever = Lever(rawValue: words[0]) { return .lever(lever) }
            switch words[0] {
            case "~": return .block(words[1], Array(words.dropFirst(2)))
            case "?": return .reply(words[1])
            case "!": return .silence(words[1])
            case "x": return .end(words[1])
            default: return .send(words[0], Array(words.dropFirst()))
            }
        }
    }
}

/// What answers the commands of a scenario.
protocol ClusterUnderTest {
    /// The position of the node with this port.
    func index(ofPort port: Int) -> Int?
    func send(_ command: [String], on connection: String) async throws -> RESPText
    func block(_ command: [String], on connection: String) async throws
    /// The next reply; `nil` if the connection has ended, or if there is none in time.
    func reply(on connection: String) async throws -> RESPText?
    func hasReply(on connection: String) async throws -> Bool
    func hasEnded(_ connection: String) async throws -> Bool
    func pull(_ lever: ClusterScenario.Lever) async throws
}

extension ClusterScenario {
    /// Runs the scenario. Returns a line for each step that was answered.
    func run(on cluster: some ClusterUnderTest) async throws -> [String] {
        var lines: [String] = []
        for step in steps {
            switch step {
            case .send(let connection, let command):
                let reply = try await cluster.send(command, on: connection).masked(command)
                lines.append("\(connection) \(Comparison.text(command)) → \(normalized(reply, cluster))")
            case .block(let connection, let command): try await cluster.block(command, on: connection)
            case .reply(let connection):
                let reply = try await cluster.reply(on: connection)
                lines.append("? \(connection) → \(reply.map { normalized($0, cluster).description } ?? "none")")
            case .silence(let connection):
                lines.append("! \(connection) → \(try await cluster.hasReply(on: connection) ? "a reply" : "silence")")
            case .end(let connection):
                lines.append("x \(connection) → \(try await cluster.hasEnded(connection) ? "closed" : "open")")
            case .lever(let lever):
                try await cluster.pull(lever)
                lines.append(lever.rawValue)
            }
        }
        return lines
    }

    /// The reply with the first word of an error, and with the letter of the node that a redirection names. An address
    /// without a host or a port stays as it is.
    private func normalized(_ reply: RESPText, _ cluster: some ClusterUnderTest) -> RESPText {
        guard case .line(let text) = reply, text.hasPrefix("-") else {
            return reply.mapElements { normalized($1, cluster) }
        }
        let words = text.split(separator: " ").map(String.init)
        guard ["-MOVED", "-ASK"].contains(words[0]), words.count == 3 else { return .line(words[0]) }
        let parts = words[2].split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, let port = Int(parts[1]), let index = cluster.index(ofPort: port),
            let letter = places.first(where: { $0.value == index })?.key
        else { return reply }
        return .line("\(words[0]) \(words[1]) \(letter)")
    }
}
