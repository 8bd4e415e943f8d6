/// What a server reports about itself, as named values.
///
/// Source: [INFO](https://redis.io/docs/latest/commands/info/).
public struct ServerInfo: Sendable, Hashable {
    /// The software that a server runs.
    public enum Server: Sendable, Hashable {
        /// Redis, or a server that reports itself as Redis.
        case redis
        /// Valkey.
        case valkey
    }

    private let values: [String: String]

    /// Reads lines of the form `name:value`, and skips headings, which begin with `#`.
    init(_ text: String) {
        var values: [String: String] = [:]
        for line in text.utf8.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
            guard line.first != UInt8(ascii: "#"), let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            values[String(Substring(line[..<colon]))] = String(Substring(line[line.index(after: colon)...]))
        }
        self.values = values
    }

    /// The value called `name`, such as `connected_clients`, or `nil` if there is none.
    public subscript(name: String) -> String? { values[name] }

    /// The software that the server runs, according to the section `server`.
    public var server: Server {
        values["server_name"] == "valkey" || values["valkey_version"] != nil ? .valkey : .redis
    }

    /// The version of Redis or Valkey; `nil` if the reply does not contain the section `server`.
    public var version: ServerVersion? {
        switch server {
        case .redis: redisVersion
        case .valkey: values["valkey_version"].flatMap { ServerVersion($0) }
        }
    }

    /// The version of Redis (`redis_version`). Valkey reports 7.2.4, the version that it is compatible with.
    public var redisVersion: ServerVersion? { values["redis_version"].flatMap { ServerVersion($0) } }
}
