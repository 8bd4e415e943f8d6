import RedisStreamsTesting

/// The options of the command line.
struct Options {
    struct Mistake: Error {
        let message: String
    }

    var port = 6379
    var version = InMemoryRedis.Version.redis7_0
    var password: String?

    static let usage = """
        Usage: in-memory-redis [--port N] [--version V] [--password P]

        A Redis server for tests: streams, groups, strings and hashes, in memory, until the process ends.

          --port N        The port on 127.0.0.1; 0 for any free port. Default: 6379.
          --version V     The server to behave like: \(InMemoryRedis.Version.allCases.map(\.rawValue).joined(separator: ", ")). Default: 7.0.
          --password P    The password that clients have to send with AUTH. Default: none.
        """

    /// Parses the arguments; `nil` if they ask for help.
    init?(_ arguments: some Sequence<String>) throws(Mistake) {
        var iterator = arguments.makeIterator()
        while let name = iterator.next() {
            if name == "--help" || name == "-h" { return nil }
            guard ["--port", "--version", "--password"].contains(name) else {
                throw Mistake(message: "There is no option \(name).")
            }
            guard let value = iterator.next() else { throw Mistake(message: "\(name) needs a value.") }
            switch name {
            case "--port":
                guard let port = Int(value), (0...65_535).contains(port) else {
                    throw Mistake(message: "A port is a number from 0 to 65535.")
                }
                self.port = port
            case "--version":
                guard let version = InMemoryRedis.Version(rawValue: value) else {
                    throw Mistake(message: "There is no version \(value).")
                }
                self.version = version
            default: password = value
            }
        }
    }
}
