extension RedisClient {
    /// How a client finds its servers.
    public enum Topology: Sendable, Hashable {
        /// One server, at the address of the connection's configuration.
        case single

        /// The master of this name, which sentinels monitor. The client asks all sentinels for its address, and follows
        /// it to another server after a failover.
        ///
        /// - Parameters:
        ///   - master: The name of the master, as the sentinels' configuration has it.
        ///   - sentinels: The addresses of some sentinels, at least one; the client learns the others from them.
        ///   - credentials: The login for the sentinels, which have users of their own. Neither is ever sent to the
        ///     other: the login of the servers stands in the connection's configuration. Default: none.
        ///   - tls: TLS to the sentinels. Default: plain text, also if the servers are reached over TLS.
        case sentinel(
            master: String,
            sentinels: [ServerAddress],
            credentials: SentinelCredentials? = nil,
            tls: TLSSettings? = nil
        )

        /// A cluster. The client learns its nodes from the first of `seeds` that answers.
        case cluster(seeds: [ServerAddress])
    }

    /// The login for the sentinels of a master.
    public struct SentinelCredentials: Sendable, Hashable {
        /// The user; `nil` for the user `default`.
        public var username: String?
        /// The password.
        public var password: Password

        /// Logs in as `username`, or as the user `default`.
        public init(username: String? = nil, password: Password) {
            self.username = username
            self.password = password
        }
    }
}

extension RedisClient.Topology {
    var isCluster: Bool {
        if case .cluster = self { true } else { false }
    }

    /// - Throws: ``RedisError`` with ``RedisError/Code/invalidConfiguration``, which repeats no address and no name.
    func validate(for connection: RedisConnection.Configuration) throws(RedisError) {
        switch self {
        case .single: return
        case .sentinel(let master, let sentinels, _, let tls):
            guard !master.isEmpty, master.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
                throw Self.error("the name of the master is empty, or holds a space or a control character")
            }
            try Self.validate(sentinels, "sentinel")
            try Self.validate(tls)
        case .cluster(let seeds):
            try Self.validate(seeds, "seed")
            guard connection.database == 0 else { throw Self.error("a cluster has no other database than 0") }
        }
        try Self.validate(connection.tls)
    }

    /// How many addresses a configuration may name.
    private static let maxAddresses = 100

    private static func validate(_ addresses: [ServerAddress], _ name: String) throws(RedisError) {
        guard (1...maxAddresses).contains(addresses.count) else {
            throw error("it needs one \(name) at least, and takes \(maxAddresses) at most")
        }
        for address in addresses {
            guard case .tcp = address else {
                throw error("a \(name) is a Unix socket, and has to be a host and a port")
            }
            if let fault = address.fault { throw error("in the address of a \(name), \(fault)") }
        }
    }

    /// The other servers become known only later, and each has an address of its own.
    private static func validate(_ tls: TLSSettings?) throws(RedisError) {
        guard let serverName = tls?.serverName else { return }
        if IPAddress(serverName) != nil {
            throw error(
                "TLSSettings.serverName is an IP address, which not all servers have: set a name, or leave it nil"
            )
        }
        try tls?.validate(for: .tcp(host: serverName))
    }

    private static func error(_ fault: String) -> RedisError {
        RedisError(.invalidConfiguration, "The topology cannot work: \(fault).")
    }
}

extension RedisClient.Configuration {
    /// How to find the master; `nil` if the client needs no sentinels for that.
    var sentinels: SentinelDirectory.Settings? {
        guard case .sentinel(let master, let sentinels, let credentials, let tls) = topology else { return nil }
        // A connection of its own kind, so that nothing of the servers' login gets to a sentinel.
        var sentinel = RedisConnection.Configuration()
        sentinel.tls = tls
        sentinel.username = credentials?.username
        sentinel.password = credentials?.password
        sentinel.clientName = connection.clientName
        sentinel.keepAliveInterval = connection.keepAliveInterval
        sentinel.unacknowledgedTimeout = connection.unacknowledgedTimeout
        // One that does not answer must not delay what the others say.
        sentinel.connectTimeout = min(connection.connectTimeout, .seconds(2))
        sentinel.commandTimeout = min(connection.commandTimeout, .seconds(2))
        return SentinelDirectory.Settings(master: master, sentinels: sentinels, connection: sentinel)
    }
}
