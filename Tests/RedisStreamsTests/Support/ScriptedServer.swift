import RedisStreamsTesting
import Synchronization

@testable import RedisStreams

/// A server that answers every connection of a transport by the same rules, and records the commands.
///
/// For tests in which it does not matter on which connection a command arrives.
final class ScriptedServer: Sendable {
    /// The commands of all connections, in the order of arrival.
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

    /// Answers a connection, too.
    func serve(_ connection: FakeConnection) {
        connections.withLock { $0.append(connection) }
        Task {
            while let command = await connection.nextCommand() {
                commands.record(command)
                if let reply = reply(command) { connection.send(reply) }
            }
        }
    }

    /// Closes the open connections, as a server does when it shuts down.
    func closeConnections() {
        let open = connections.withLock { connections in
            defer { connections = [] }
            return connections
        }
        for connection in open { connection.close() }
    }

    /// The acknowledged ids, in the order of the acknowledgements.
    var acknowledged: [String] {
        commands.all.flatMap { command -> ArraySlice<String> in
            if command.first == "XACK" { return command.dropFirst(3) }
            return command.starts(with: ["EVALSHA", Script.acknowledge.sha1]) ? command.dropFirst(6) : []
        }
    }

    /// The arguments of the calls of a script, without those that are the same in all of them.
    func calls(of script: Script) -> [[String]] {
        commands.all.filter { $0.starts(with: ["EVALSHA", script.sha1]) }.map { Array($0.dropFirst(6)) }
    }

    /// Waits until at least `count` ids were acknowledged.
    func acknowledged(atLeast count: Int) async -> [String] {
        var seen = 0
        while acknowledged.count < count {
            seen = await commands.wait(for: seen + 1).count
        }
        return acknowledged
    }
}

/// Replies that a scripted server gives one after the other.
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
