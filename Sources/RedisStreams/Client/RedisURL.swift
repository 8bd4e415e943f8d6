/// A URL with the address of a server, of sentinels or of a cluster, and the login.
///
/// - `redis://[user[:password]@]host[:port][/database]`
/// - `rediss://…`, the same over TLS
/// - `redis+sentinel://[user[:password]@]sentinel[:port],…/master[/database]`
/// - `redis+cluster://[user[:password]@]node[:port],…`
/// - `valkey` and `valkeys` instead of `redis` and `rediss`, which mean the same
/// - `unix://[user[:password]@]/path/to/redis.sock[?db=database]`
///
/// User, password, the name of the master and path may be percent-encoded. The errors never repeat any part of the URL,
/// since a misplaced character can make a part of the password look like another part.
struct RedisURL: Sendable, Hashable {
    /// Where the server listens; `nil` if the topology says how to find it.
    let address: ServerAddress?
    let topology: RedisClient.Topology
    /// Whether the servers are reached over TLS. The URL says nothing about TLS to sentinels.
    let usesTLS: Bool
    /// The user of the server's ACL; `nil` for the default user.
    let username: String?
    let password: Password?
    let database: Int

    /// Parses a URL.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/invalidConfiguration``, which says which part is wrong.
    init(_ text: String) throws(RedisError) {
        guard !text.isEmpty else { throw Self.error("it is empty") }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw Self.error("it holds a space, a line break or a control character, which have to be percent-encoded")
        }
        guard let scheme = Scheme(of: text) else {
            throw Self.error("it does not begin with redis://, rediss://, valkey://, valkeys:// or unix://")
        }
        var rest = Substring(text).utf8.dropFirst(scheme.length)
        guard !rest.contains(UInt8(ascii: "#")) else {
            throw Self.error("it holds a #, which has to be percent-encoded in a user, password or path")
        }
        let authority = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
        rest = rest[authority.endIndex...]
        let query = rest.firstIndex(of: UInt8(ascii: "?")).map { rest[$0...].dropFirst() }
        let path = rest.prefix { $0 != UInt8(ascii: "?") }
        let hostStart = authority.lastIndex(of: UInt8(ascii: "@"))
        if scheme.base != .unix, rest.contains(UInt8(ascii: "@")) {
            throw Self.error("there is an @ behind the host: a / or ? in a user or password has to be percent-encoded")
        }
        let login = hostStart.map { authority[..<$0] }
        let host = hostStart.map { authority[$0...].dropFirst() } ?? authority
        (username, password) = try Self.login(login)
        usesTLS = scheme.base == .rediss || scheme.base == .valkeys
        switch (scheme.base, scheme.kind) {
        case (.unix, _):
            address = try Self.socket(host: host, path: path)
            topology = .single
            database = try Self.database(query: query)
        case (_, .single):
            address = try Self.address(host, defaultPort: 6379)
            topology = .single
            database = try Self.database(path: path, query: query)
        case (_, .cluster):
            address = nil
            topology = .cluster(seeds: try Self.addresses(host, defaultPort: 6379))
            database = try Self.database(path: path, query: query)
        case (_, .sentinel):
            address = nil
            let sentinels = try Self.addresses(host, defaultPort: 26379)
            let name = path.dropFirst().prefix { $0 != UInt8(ascii: "/") }
            guard !name.isEmpty else {
                throw Self.error("the name of the master is missing: it follows the addresses, /mymaster")
            }
            topology = .sentinel(master: try Self.decoded(name, "name of the master"), sentinels: sentinels)
            database = try Self.database(path: path[name.endIndex...], query: query)
        }
    }

    private struct Scheme {
        enum Base: String, CaseIterable { case redis, rediss, valkey, valkeys, unix }
        enum Kind: String, CaseIterable {
            case single = ""
            case sentinel = "+sentinel"
            case cluster = "+cluster"
        }

        let base: Base
        let kind: Kind
        /// How many bytes it has, with the `://`.
        let length: Int

        init?(of text: String) {
            for base in Base.allCases {
                for kind in Kind.allCases where base != .unix || kind == .single {
                    let name = base.rawValue + kind.rawValue + "://"
                    guard text.prefix(name.count).lowercased() == name else { continue }
                    (self.base, self.kind, length) = (base, kind, name.utf8.count)
                    return
                }
            }
            return nil
        }
    }

    private typealias Part = Substring.UTF8View

    private static func error(_ fault: String) -> RedisError {
        RedisError(
            .invalidConfiguration,
            "The Redis URL cannot be read: \(fault). It should look like redis://user:password@localhost:6379/0 "
                + "(rediss:// for TLS), redis+sentinel://a:26379,b:26379/mymaster/0, redis+cluster://a:7000,b:7001 or "
                + "unix:///run/redis.sock?db=0; write @ as %40, : as %3A, / as %2F and % as %25 in a user or password."
        )
    }

    // MARK: Parts

    private static func login(_ part: Part?) throws(RedisError) -> (String?, Password?) {
        guard let part else { return (nil, nil) }
        let name = part.prefix { $0 != UInt8(ascii: ":") }
        let username = try decoded(name, "user")
        var password: String?
        if name.endIndex != part.endIndex { password = try decoded(part[name.endIndex...].dropFirst(), "password") }
        if username.isEmpty {
            // "redis://:@host" means no login.
            return (nil, password.flatMap { $0.isEmpty ? nil : Password($0) })
        }
        return (username, password.map { Password($0) })
    }

    /// The addresses of several servers, with commas between them.
    private static func addresses(_ part: Part, defaultPort: Int) throws(RedisError) -> [ServerAddress] {
        var addresses: [ServerAddress] = []
        for host in part.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            addresses.append(try address(host, defaultPort: defaultPort))
        }
        return addresses
    }

    private static func address(_ part: Part, defaultPort: Int) throws(RedisError) -> ServerAddress {
        let host: Part
        var rest: Part
        let isBracketed = part.first == UInt8(ascii: "[")
        if isBracketed {
            guard let end = part.firstIndex(of: UInt8(ascii: "]")) else {
                throw error("the [ of an IPv6 address is not closed")
            }
            host = part[..<end].dropFirst()
            rest = part[end...].dropFirst()
            guard host.contains(UInt8(ascii: ":")) else { throw error("there is no IPv6 address in the brackets") }
            guard rest.isEmpty || rest.first == UInt8(ascii: ":") else {
                throw error("there is something else than a port behind the ] of the IPv6 address")
            }
        } else {
            host = part.prefix { $0 != UInt8(ascii: ":") }
            rest = part[host.endIndex...]
            guard rest.dropFirst().firstIndex(of: UInt8(ascii: ":")) == nil else {
                throw error("there is more than one colon behind the user: an IPv6 address goes into brackets, [::1]")
            }
        }
        var port = defaultPort
        if !rest.isEmpty {
            guard let number = number(rest.dropFirst()), (1...65535).contains(number) else {
                throw error("the port is not a number from 1 to 65535")
            }
            port = number
        }
        let address = ServerAddress.tcp(host: String(Substring(host)), port: port)
        if let fault = address.fault { throw error(fault) }
        return address
    }

    private static func socket(host: Part, path: Part) throws(RedisError) -> ServerAddress {
        guard host.isEmpty else {
            throw error("a unix URL has no host: the absolute path follows unix://, which makes three slashes")
        }
        guard !path.isEmpty else { throw error("the path of the socket is missing") }
        let address = ServerAddress.unixSocket(path: try decoded(path, "path"))
        if let fault = address.fault { throw error(fault) }
        return address
    }

    private static func database(path: Part, query: Part?) throws(RedisError) -> Int {
        guard query == nil else {
            throw error(
                "there is a ? with parameters, of which redis:// URLs have none: the database goes into the path, /0"
            )
        }
        guard path.count > 1 else { return 0 }
        return try database(path.dropFirst())
    }

    private static func database(query: Part?) throws(RedisError) -> Int {
        guard let query else { return 0 }
        guard query.starts(with: "db=".utf8), !query.contains(UInt8(ascii: "&")) else {
            throw error("there is another parameter than db behind the ?")
        }
        return try database(query.dropFirst(3))
    }

    private static func database(_ digits: Part) throws(RedisError) -> Int {
        guard let number = number(digits), number <= Int(Int32.max) else {
            throw error("the database is not a number from 0")
        }
        return number
    }

    // MARK: Characters

    /// The number that one to ten digits spell.
    private static func number(_ digits: Part) -> Int? {
        guard (1...10).contains(digits.count), digits.allSatisfy({ $0 &- UInt8(ascii: "0") <= 9 }) else { return nil }
        return Int(Substring(digits))
    }

    private static func decoded(_ part: Part, _ name: String) throws(RedisError) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(part.count)
        var rest = part
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = hexDigit(rest.popFirst()), let low = hexDigit(rest.popFirst()) else {
                throw error("a % in the \(name) is not followed by two hexadecimal digits")
            }
            bytes.append(high << 4 | low)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw error("the percent-encoded bytes of the \(name) are not UTF-8")
        }
        return text
    }

    private static func hexDigit(_ byte: UInt8?) -> UInt8? {
        switch byte {
        case .some(let digit) where digit &- UInt8(ascii: "0") <= 9: digit &- UInt8(ascii: "0")
        case .some(let letter) where (letter | 0x20) &- UInt8(ascii: "a") <= 5:
            (letter | 0x20) &- UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
