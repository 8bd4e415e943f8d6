import Testing

@testable import RedisStreams

@Suite struct TopologyTests {
    private static func sentinel(_ master: String, _ sentinels: [ServerAddress]) -> RedisClient.Topology {
        .sentinel(master: master, sentinels: sentinels)
    }

    private static let byIP: TLSSettings = {
        var settings = TLSSettings()
        settings.serverName = "127.0.0.1"
        return settings
    }()

    static let refused: [(RedisClient.Topology, String)] = [
        (sentinel("", [.tcp(host: "s1")]), "the name of the master is empty"),
        (sentinel("my master", [.tcp(host: "s1")]), "holds a space"),
        (sentinel("m", []), "needs one sentinel"),
        (sentinel("m", Array(repeating: .tcp(host: "s1"), count: 101)), "takes 100 at most"),
        (sentinel("m", [.tcp(host: "s1"), .unixSocket(path: "/hunter2")]), "a sentinel is a Unix socket"),
        (sentinel("m", [.tcp(host: "hunter2:1")]), "in the address of a sentinel"),
        (.sentinel(master: "m", sentinels: [.tcp(host: "s1")], tls: byIP), "serverName is an IP address"),
        (.cluster(seeds: []), "needs one seed"),
        (.cluster(seeds: [.unixSocket(path: "/hunter2")]), "a seed is a Unix socket"),
        (.cluster(seeds: [.tcp(host: "hunter2", port: 0)]), "in the address of a seed"),
    ]

    @Test(arguments: refused)
    func `A topology that cannot work is refused by its fault, without an address`(
        topology: RedisClient.Topology,
        fault: String
    ) {
        var configuration = RedisClient.Configuration()
        configuration.topology = topology
        let refusal = error { () throws(RedisError) in try configuration.validate() }
        #expect(refusal?.code == .invalidConfiguration)
        #expect(refusal?.message.contains(fault) == true)
        #expect(refusal?.message.contains("hunter2") == false)
    }

    @Test func `A cluster has no database but 0, and behind sentinels there are more`() throws {
        let refusal = error { () throws(RedisError) in
            try RedisClient.Configuration(url: "redis+cluster://a/1").validate()
        }
        #expect(refusal?.message.contains("database") == true)
        try RedisClient.Configuration(url: "redis+cluster://a/0").validate()
        try RedisClient.Configuration(url: "redis+sentinel://a/mymaster/1").validate()
    }

    @Test func `A certificate of several servers cannot be verified for one IP address`() {
        var configuration = RedisClient.Configuration()
        configuration.topology = .cluster(seeds: [.tcp(host: "127.0.0.1")])
        configuration.connection.tls = Self.byIP
        let refusal = error { () throws(RedisError) in try configuration.validate() }
        #expect(refusal?.message.contains("serverName is an IP address") == true)
    }

    @Test func `The login of sentinels is not printed`() {
        let topology = RedisClient.Topology.sentinel(
            master: "m",
            sentinels: [.tcp(host: "s1")],
            credentials: .init(username: "app", password: "hunter2")
        )
        var text = ""
        dump(topology, to: &text)
        #expect(!(text + "\(topology)" + String(reflecting: topology)).contains("hunter2"))
    }
}
