import Testing

@testable import RedisStreams

@Suite struct RedisURLTests {
    struct Good: Sendable, CustomTestStringConvertible {
        var url: String
        var address: ServerAddress
        var usesTLS = false
        var username: String?
        var password: Password?
        var database = 0

        var testDescription: String { url }
    }

    static let good: [Good] = [
        Good(url: "redis://localhost", address: .tcp(host: "localhost")),
        Good(url: "redis://localhost/", address: .tcp(host: "localhost")),
        Good(url: "REDIS://Localhost:6380", address: .tcp(host: "Localhost", port: 6380)),
        Good(url: "redis://my_host.example.:1/15", address: .tcp(host: "my_host.example.", port: 1), database: 15),
        Good(url: "rediss://10.0.0.1:65535", address: .tcp(host: "10.0.0.1", port: 65535), usesTLS: true),
        Good(
            url: "valkey://app:secret@host/2",
            address: .tcp(host: "host"),
            username: "app",
            password: "secret",
            database: 2
        ),
        Good(url: "VALKEYS://host:6380", address: .tcp(host: "host", port: 6380), usesTLS: true),
        Good(url: "redis://[::1]", address: .tcp(host: "::1")),
        Good(
            url: "redis://[2001:DB8::a:192.0.2.1]:7000/2",
            address: .tcp(host: "2001:DB8::a:192.0.2.1", port: 7000),
            database: 2
        ),
        Good(url: "redis://:secret@host", address: .tcp(host: "host"), password: "secret"),
        Good(url: "redis://app@host", address: .tcp(host: "host"), username: "app"),
        Good(url: "redis://app:secret@host:6379/0", address: .tcp(host: "host"), username: "app", password: "secret"),
        Good(url: "redis://app:@host", address: .tcp(host: "host"), username: "app", password: ""),
        Good(url: "redis://:@host", address: .tcp(host: "host")),
        Good(url: "redis://@host", address: .tcp(host: "host")),
        Good(
            url: "redis://a%3Ab:p%40ss%2f%25%20%C3%A9+:x@host",
            address: .tcp(host: "host"),
            username: "a:b",
            password: "p@ss/% é+:x"
        ),
        Good(url: "redis://:p@ss@host", address: .tcp(host: "host"), password: "p@ss"),
        Good(url: "redis://:é@host", address: .tcp(host: "host"), password: "é"),
        Good(url: "unix:///run/redis.sock", address: .unixSocket(path: "/run/redis.sock")),
        Good(url: "unix:///run/my%20redis.sock?db=3", address: .unixSocket(path: "/run/my redis.sock"), database: 3),
        Good(url: "unix:///run/a@b:c.sock", address: .unixSocket(path: "/run/a@b:c.sock")),
        Good(
            url: "unix://app:secret@/run/redis.sock?db=0",
            address: .unixSocket(path: "/run/redis.sock"),
            username: "app",
            password: "secret"
        ),
    ]

    @Test("A good URL is read", arguments: good)
    func goodURL(expected: Good) throws {
        let url = try RedisURL(expected.url)
        #expect(url.address == expected.address)
        #expect(url.topology == .single)
        #expect(url.usesTLS == expected.usesTLS)
        #expect(url.username == expected.username)
        #expect(url.password == expected.password)
        #expect(url.database == expected.database)
        try expected.address.validate()
    }

    static let bad: [(String, String)] = [
        ("", "it is empty"),
        ("hunter2", "does not begin with"),
        ("localhost:6379", "does not begin with"),
        ("http://:hunter2@host", "does not begin with"),
        ("redis:/host", "does not begin with"),
        ("redis:host", "does not begin with"),
        (" redis://host", "a space"),
        ("redis://host\n", "a line break"),
        ("redis://:hunter2\u{0}@host", "a control character"),
        ("redis://:hunter2\u{7F}@host", "a control character"),
        ("redis+sentinels://:hunter2@host/m", "does not begin with"),
        ("redis+cluster:/host", "does not begin with"),
        ("unix+cluster:///run/redis.sock", "does not begin with"),
        ("redis+sentinel://host", "the name of the master is missing"),
        ("redis+sentinel://host/", "the name of the master is missing"),
        ("redis+sentinel://host//0", "the name of the master is missing"),
        ("redis+sentinel://:hunter2@/mymaster", "the host is missing"),
        ("redis+sentinel://a,/mymaster", "the host is missing"),
        ("redis+sentinel://a:26379,b:0/mymaster", "the port"),
        ("redis+sentinel://host/mymaster/x", "the database"),
        ("redis+sentinel://host/mymaster/0/1", "the database"),
        ("redis+sentinel://host/mymaster?db=1", "parameters"),
        ("redis+sentinel://host/my%master", "in the name of the master is not followed"),
        ("redis+sentinel://:hun/ter2@host/mymaster", "an @ behind the host"),
        ("redis+cluster://", "the host is missing"),
        ("redis+cluster://a:7000,,b:7001", "the host is missing"),
        ("redis+cluster://a:7000;b:7001", "more than one colon"),
        ("redis+cluster://a:7000, b:7001", "a space"),
        ("redis+cluster://a:7000/x", "the database"),
        ("redis://", "the host is missing"),
        ("redis:///0", "the host is missing"),
        ("redis://:6379", "the host is missing"),
        ("redis://:hunter2@", "the host is missing"),
        ("redis://:hunter2@:6379", "the host is missing"),
        ("redis://:hunter2@/0", "the host is missing"),
        ("redis://host:", "the port"),
        ("redis://host:0", "the port"),
        ("redis://host:65536", "the port"),
        ("redis://host:99999999999999999999", "the port"),
        ("redis://host:abc", "the port"),
        ("redis://host:-1", "the port"),
        ("redis://host:+1", "the port"),
        ("redis://app:hunter2", "the port"),
        ("redis://::1", "brackets"),
        ("redis://::1:6379", "brackets"),
        ("redis://[::1", "not closed"),
        ("redis://[]", "no IPv6 address"),
        ("redis://[localhost]:6379", "no IPv6 address"),
        ("redis://[::g]", "not an IPv6 address"),
        ("redis://[fe80::1%25eth0]", "zones"),
        ("redis://[::1]6379", "behind the ]"),
        ("redis://[::1]:", "the port"),
        ("redis://ho%73t", "the host holds a character"),
        ("redis://hö.example", "the host holds a character"),
        ("redis://host,other", "the host holds a character"),
        ("redis://" + String(repeating: "a", count: 254), "longer than 253 bytes"),
        ("redis://host/-1", "the database"),
        ("redis://host/abc", "the database"),
        ("redis://host/1/", "the database"),
        ("redis://host/2147483648", "the database"),
        ("redis://host/99999999999999999999", "the database"),
        ("redis://host?db=1", "parameters"),
        ("redis://host/1?password=hunter2", "parameters"),
        ("redis://host/1#hunter2", "a #"),
        ("redis://:hunter2#x@host", "a #"),
        ("redis://:hun/ter2@host", "an @ behind the host"),
        ("redis://:hun?ter2@host", "an @ behind the host"),
        ("redis://:hunter2%@host", "in the password is not followed"),
        ("redis://:hunter2%4@host", "in the password is not followed"),
        ("redis://:hunter2%zz@host", "in the password is not followed"),
        ("redis://hunter2%@host", "in the user is not followed"),
        ("redis://:hunter2%ff@host", "of the password are not UTF-8"),
        ("unix://", "the path of the socket is missing"),
        ("unix://?db=1", "the path of the socket is missing"),
        ("unix:///", "absolute path of a file"),
        ("unix:///run/", "absolute path of a file"),
        ("unix://run/redis.sock", "no host"),
        ("unix://:hunter2@host/run/redis.sock", "no host"),
        ("unix:///run/redis%00.sock", "NUL"),
        ("unix:///run/redis%.sock", "in the path is not followed"),
        ("unix:///" + String(repeating: "a", count: 108), "longer than the system's"),
        ("unix:///run/redis.sock?db=-1", "the database"),
        ("unix:///run/redis.sock?db=", "the database"),
        ("unix:///run/redis.sock?db=1&db=2", "another parameter"),
        ("unix:///run/redis.sock?password=hunter2", "another parameter"),
    ]

    @Test("A bad URL is refused with a word about the bad part, and without the URL", arguments: bad)
    func badURL(url: String, fault: String) {
        let error = #expect(throws: RedisError.self) { try RedisURL(url) }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.isRetriable == false)
        let message = error?.message ?? ""
        #expect(message.contains(fault))
        #expect(message.contains("redis://user:password@localhost:6379/0"))
        for secret in ["hunter2", "hun", "ter2"] { #expect(!dumped(error as Any).contains(secret)) }
        // The model URL at the end may happen to hold a short one.
        let said = message[..<(message.firstRange(of: "It should look like")?.lowerBound ?? message.endIndex)]
        if url.utf8.count > 10 { #expect(!said.contains(url)) }
    }

    struct Several: Sendable, CustomTestStringConvertible {
        var url: String
        var topology: RedisClient.Topology
        var usesTLS = false
        var username: String?
        var password: Password?
        var database = 0

        var testDescription: String { url }
    }

    static let several: [Several] = [
        Several(
            url: "redis+sentinel://s1:26379,s2:26380/mymaster",
            topology: .sentinel(
                master: "mymaster",
                sentinels: [.tcp(host: "s1", port: 26379), .tcp(host: "s2", port: 26380)]
            )
        ),
        Several(
            url: "rediss+sentinel://app:secret@s1,[::1],[::2]:5/my%2Fmaster/3",
            topology: .sentinel(
                master: "my/master",
                sentinels: [.tcp(host: "s1", port: 26379), .tcp(host: "::1", port: 26379), .tcp(host: "::2", port: 5)]
            ),
            usesTLS: true,
            username: "app",
            password: "secret",
            database: 3
        ),
        Several(
            url: "VALKEY+Sentinel://:a,b@s1/mymaster/",
            topology: .sentinel(master: "mymaster", sentinels: [.tcp(host: "s1", port: 26379)]),
            password: "a,b"
        ),
        Several(
            url: "redis+cluster://app:secret@a:7000,b:7001,c",
            topology: .cluster(seeds: [.tcp(host: "a", port: 7000), .tcp(host: "b", port: 7001), .tcp(host: "c")]),
            username: "app",
            password: "secret"
        ),
        Several(url: "rediss+cluster://[::1]/0", topology: .cluster(seeds: [.tcp(host: "::1")]), usesTLS: true),
        Several(url: "valkey+cluster://a/", topology: .cluster(seeds: [.tcp(host: "a")])),
        Several(url: "valkeys+cluster://a", topology: .cluster(seeds: [.tcp(host: "a")]), usesTLS: true),
    ]

    @Test("A URL with several hosts is read", arguments: several)
    func severalHosts(expected: Several) throws {
        let url = try RedisURL(expected.url)
        #expect(url.address == nil)
        #expect(url.topology == expected.topology)
        #expect(url.usesTLS == expected.usesTLS)
        #expect(url.username == expected.username)
        #expect(url.password == expected.password)
        #expect(url.database == expected.database)
        let configuration = try RedisClient.Configuration(url: expected.url)
        #expect(configuration.topology == expected.topology)
        #expect((configuration.connection.tls != nil) == expected.usesTLS)
    }

    @Test(
        "No cut of a URL traps, and none is repeated by its error",
        arguments: [
            "rediss://user:hunter2%40é@[2001:db8::1]:6379/12?db=1#x",
            "rediss+sentinel://user:hunter2%40é@[2001:db8::1]:6379,s2/mymaster%20é/12",
            "redis+cluster://user:hunter2%40é@a:1,[2001:db8::1]/0",
        ]
    )
    func cuts(url: String) {
        let scalars = Array(url.unicodeScalars)
        for start in scalars.indices {
            for end in start..<scalars.count {
                var text = ""
                text.unicodeScalars.append(contentsOf: scalars[start...end])
                do {
                    let read = try RedisURL(text)
                    #expect(!dumped(read).contains("hunter2"))
                } catch {
                    #expect(!dumped(error).contains("hunter2"))
                }
            }
        }
    }
}

@Suite struct PasswordTests {
    struct Holder {
        var password: Password? = "hunter2"
        var all: [Password] = [Password("hunter2")]
    }

    @Test("Nothing that prints shows a password")
    func nothingPrints() throws {
        let password: Password = "hunter2"
        let url = try RedisURL("redis://app:hunter2@host")
        let texts = [
            "\(password)", String(describing: password), String(reflecting: password), dumped(password),
            "\(Optional(password) as Any)", dumped(Holder()), "\(Holder())", String(reflecting: Holder()),
            "\([password: password])", "\(url)", String(reflecting: url), dumped(url),
            "\(Mirror(reflecting: password))", dumped(Mirror(reflecting: password).children.map(\.value)),
            "\(url.address as Any)",
        ]
        for text in texts { #expect(!text.contains("hunter2")) }
        #expect("\(password)" == "****")
        #expect(String(reflecting: password) == "****")
        #expect(Mirror(reflecting: password).children.isEmpty)
        #expect(password.value == "hunter2")
    }

    @Test("Passwords are equal if their text is")
    func equality() {
        #expect(Password("a") == "a")
        #expect(Password("a") != "b")
    }

    @Test("A password cannot be encoded")
    func notCodable() {
        #expect(!(Password("a") as Any is any Encodable))
        #expect(!(Password.self as Any is any Decodable.Type))
    }
}

@Suite struct ServerAddressTests {
    @Test(
        "An address describes itself as people write it",
        arguments: [
            (ServerAddress.tcp(host: "redis.example"), "redis.example:6379"), (.tcp(host: "::1", port: 1), "[::1]:1"),
            (.unixSocket(path: "/run/redis.sock"), "/run/redis.sock"),
        ]
    )
    func describes(address: ServerAddress, description: String) throws {
        #expect("\(address)" == description)
        try address.validate()
    }

    @Test(
        "An address at which no server can be is refused",
        arguments: [
            ServerAddress.tcp(host: ""), .tcp(host: "a b"), .tcp(host: "host", port: 0), .tcp(host: "host", port: -1),
            .tcp(host: "host", port: 65536), .tcp(host: "[::1]"), .tcp(host: "host:6379"), .tcp(host: "a\0b"),
            .unixSocket(path: ""), .unixSocket(path: "run/redis.sock"), .unixSocket(path: "/a\0b"),
        ]
    )
    func refused(address: ServerAddress) {
        let error = #expect(throws: RedisError.self) { try address.validate() }
        #expect(error?.code == .invalidConfiguration)
    }
}

private func dumped(_ value: Any) -> String {
    var text = ""
    dump(value, to: &text)
    return text + "\(value)" + String(reflecting: value)
}
