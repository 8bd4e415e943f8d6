import RedisStreams
@testable import RedisStreamsTesting

/// Compares a real server with the in-memory server of its version.
struct Comparison {
    /// The first reply that differs.
    struct Difference: CustomStringConvertible {
        /// The position of the command that was answered.
        let index: Int
        /// The command, which is one within a transaction if `EXEC` was answered.
        let command: [String]
        let real: RESPText
        let inMemory: RESPText

        var description: String {
            "command \(index), \(Comparison.text(command))\n  real:      \(real)\n  in memory: \(inMemory)"
        }
    }

    let server: TestServer
    let version: InMemoryRedis.Version
    /// Whether the client speaks RESP3.
    var usesRESP3 = false

    /// A command in one line, with the source of a script cut short.
    static func text(_ command: [String]) -> String {
        command.map { $0.isEmpty || $0.contains(" ") ? "\"\($0.prefix(120))\"" : $0 }.joined(separator: " ")
    }

    /// Commands that bring a server to the state of a new one.
    private static let preparation = [
        ["FLUSHALL"], ["SCRIPT", "FLUSH"], ["CONFIG", "SET", "stream-node-max-entries", "100"],
        ["CONFIG", "SET", "stream-node-max-bytes", "4096"],
    ]

    /// Executes the commands on both servers, as if these were new. Returns the first difference; `nil` if there is
    /// none.
    func difference(_ commands: [[String]]) async throws -> Difference? {
        let real = try await RawConnection(port: server.port)
        let model = ModelServer(version)
        let preparation = Self.preparation + (usesRESP3 ? [["HELLO", "3"]] : [])
        real.send(preparation + commands)
        for command in preparation + commands { model.send(command, endingWait: true) }
        let count = preparation.count
        let expected = await real.replies(count + commands.count).dropFirst(count)
        return first(commands, Array(expected), Array(model.replies().dropFirst(count)))
    }

    private func first(_ commands: [[String]], _ expected: [RESPText], _ found: [RESPText]) -> Difference? {
        let missing = RESPText.line("no reply")
        var queue: [[String]] = []
        for (index, command) in commands.enumerated() {
            let real = index < expected.count ? expected[index] : missing
            let inMemory = index < found.count ? found[index] : missing
            var triples = [(command, real, inMemory)]
            if real == .line("+QUEUED") { queue.append(command) }
            if ["EXEC", "DISCARD"].contains(command[0]) {
                // A transaction is compared command by command.
                if !real.elements.isEmpty, real.elements.count == inMemory.elements.count {
                    triples = zip(queue, zip(real.elements, inMemory.elements)).map { ($0, $1.0, $1.1) }
                }
                queue = []
            }
            if let (command, real, inMemory) = triples.first(where: { $1.masked($0) != $2.masked($0) }) {
                return Difference(index: index, command: command, real: real, inMemory: inMemory)
            }
        }
        return nil
    }

    /// Removes commands that are not needed for the difference, for half a minute at most.
    func shortened(_ commands: [[String]], _ first: Difference) async throws -> ([[String]], Difference) {
        var (commands, difference) = (Array(commands[...first.index]), first)
        let end = ContinuousClock.now + .seconds(30)
        var size = commands.count / 2
        while size > 0, ContinuousClock.now < end {
            var start = 0
            while start < commands.count, ContinuousClock.now < end {
                var rest = commands
                rest.removeSubrange(start..<min(start + size, commands.count))
                if let found = try await self.difference(rest) {
                    (commands, difference) = (Array(rest[...found.index]), found)
                } else {
                    start += size
                }
            }
            size /= 2
        }
        return (commands, difference)
    }
}
