/// What a server says of itself: named values.
///
/// Source: [INFO](https://redis.io/docs/latest/commands/info/).
public struct ServerInfo: Sendable, Hashable {
    /// Whose server it is.
    public enum Server: Sendable, Hashable {
        /// Redis, or one that says that it is.
        case redis
        /// Valkey.
        case valkey
    }

    private let values: [String: String]

    /// Reads lines of `name:value`; those that begin with `#` are headings.
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

    /// Whose server it is, told from the section `server`.
    public var server: Server {
        values["server_name"] == "valkey" || values["valkey_version"] != nil ? .valkey : .redis
    }

    /// The version of the server, as its maker counts; `nil` if the section `server` was not asked for.
    public var version: ServerVersion? {
        switch server {
        case .redis: redisVersion
        case .valkey: values["valkey_version"].flatMap { ServerVersion($0) }
        }
    }

    /// The version of Redis (`redis_version`). Valkey says 7.2.4, with which it is compatible.
    public var redisVersion: ServerVersion? { values["redis_version"].flatMap { ServerVersion($0) } }
}
