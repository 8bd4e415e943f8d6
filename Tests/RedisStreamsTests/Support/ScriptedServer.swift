import RedisStreamsTesting
import Synchronization

@testable import RedisStreams

/// A server that answers every connection of a transport by the same rules, and notes what it was sent.
///
/// For tests that do not say on which connection a command comes.
final class ScriptedServer: Sendable {
    /// Every command of all connections, in the order of arrival.
    let commands = Journal<[String]>()
    private let connections = Mutex<[FakeConnection]>([])
    private let reply: @Sendable ([String]) -> String?

    /// - Parameter reply: The reply to a command; `nil` for none.
    init(on transport: FakeTransport, reply: @escaping @Sendable ([String]) -> String?) {
        self.reply = reply
        Task {
            while true { serve(await transport.nextConnection()) }
        }
    }

    /// Answers one more connection.
    func serve(_ connection: FakeConnection) {
        connections.withLock { $0.append(connection) }
        Task {
            while let command = await connection.nextCommand() {
                commands.record(command)
                if let reply = reply(command) { connection.send(reply) }
            }
        }
    }

    /// Closes what is open, as a server does that goes down.
    func closeConnections() {
        let open = connections.withLock { connections in
            defer { connections = [] }
            return connections
        }
        for connection in open { connection.close() }
    }

    /// The ids that were acknowledged, in the order in which they were.
    var acknowledged: [String] {
        commands.all.flatMap { command -> ArraySlice<String> in
            if command.first == "XACK" { return command.dropFirst(3) }
            return command.starts(with: ["EVALSHA", Script.acknowledge.sha1]) ? command.dropFirst(6) : []
        }
    }

    /// The calls of a script, without what is the same in all of them.
    func calls(of script: Script) -> [[String]] {
        commands.all.filter { $0.starts(with: ["EVALSHA", script.sha1]) }.map { Array($0.dropFirst(6)) }
    }

    /// Waits until so many ids were acknowledged.
    func acknowledged(atLeast count: Int) async -> [String] {
        var seen = 0
        while acknowledged.count < count {
            seen = await commands.wait(for: seen + 1).count
        }
        return acknowledged
    }
}

/// Replies that are given one after the other, and then no more.
final class Replies: Sendable {
    private let rest: Mutex<[String]>

    init(_ replies: String...) {
        rest = Mutex(replies)
    }

    func next() -> String? {
        rest.withLock { $0.isEmpty ? nil : $0.removeFirst() }
    }

    func add(_ reply: String) {
        rest.withLock { $0.append(reply) }
    }
}
