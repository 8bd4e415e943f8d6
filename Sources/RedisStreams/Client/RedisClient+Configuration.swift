extension RedisClient {
    /// How a client connects and what it allows. `init()` works for a server on this machine.
    public struct Configuration: Sendable {
        /// How the client opens each connection: address, TLS, user, database, timeouts. With sentinels or in a cluster,
        /// the servers are found by ``topology``, and the address here is not used; all else is the same for all
        /// servers.
        public var connection: RedisConnection.Configuration

        /// How the client finds its servers. Default: ``RedisClient/Topology/single``.
        public var topology: Topology = .single

        /// What a consumer that has not been connected yet does while the server is unreachable.
        public enum Startup: Sendable, Hashable {
            /// It waits: the server may start later than this process. It logs a warning at once, and then each minute.
            case wait
            /// It ends with the error, so that a wrong address fails at once.
            case fail
        }

        /// What a consumer that has not been connected yet does while the server is unreachable: nothing listens at the
        /// address, the server does not answer, or the host name does not resolve. Default: `nil`, which is `wait`
        /// under ``RedisClient/run()``, and `fail` inside `withRedisClient`.
        ///
        /// In any case, an error that waiting cannot fix ends the consumer at once, such as a wrong password, a
        /// certificate that is not trusted, or a missing right; and a single command waits no longer than
        /// ``acquireTimeout``.
        public var startup: Startup?

        /// How many connections all tasks share for their pipelined commands. Default: 1, which keeps the commands of
        /// one task in order even if it does not wait for the replies. With more connections, a large reply delays
        /// fewer other commands.
        public var sharedConnections: Int = 1

        /// The maximum number of connections that are leased at a time: one for each consumer, and one for each
        /// blocking command that is being executed. In a cluster the maximum holds for each node. Default: 1024.
        public var maxLeasedConnections: Int = 1024

        /// How long a caller waits for a connection before it gets an error. Default: 5 s.
        public var acquireTimeout: Duration = .seconds(5)

        /// The delays between attempts to connect.
        public var backoff = Backoff()

        /// A configuration for a server at `address`.
        public init(address: ServerAddress = .tcp(host: "127.0.0.1")) {
            connection = RedisConnection.Configuration(address: address)
        }

        /// A configuration from a URL:
        ///
        /// - `redis://[[user]:password@]host[:port][/database]` for one server, `rediss://…` for TLS;
        /// - `redis+sentinel://[[user]:password@]sentinel[:port],…/master[/database]` for a master that sentinels
        ///   monitor, `rediss+sentinel://…` for TLS to the servers. User and password are those of the servers; what
        ///   the sentinels need stands in ``topology``;
        /// - `redis+cluster://[[user]:password@]node[:port],…` for a cluster, `rediss+cluster://…` for TLS;
        /// - `unix://[[user]:password@]/path/to.sock[?db=number]` for a Unix socket.
        ///
        /// `valkey` and `valkeys` mean the same as `redis` and `rediss`. The default port is 6379, and 26379 for a
        /// sentinel.
        ///
        /// - Throws: ``RedisError`` with ``RedisError/Code/invalidConfiguration``, which says what is wrong with the
        ///   URL without repeating it.
        public init(url: String) throws(RedisError) {
            let parsed = try RedisURL(url)
            connection = RedisConnection.Configuration()
            if let address = parsed.address { connection.address = address }
            topology = parsed.topology
            connection.tls = parsed.usesTLS ? TLSSettings() : nil
            connection.username = parsed.username
            connection.password = parsed.password
            connection.database = parsed.database
        }

        func validate() throws(RedisError) {
            try connection.validate()
            try topology.validate(for: connection)
            try backoff.validate()
            guard (1...64).contains(sharedConnections), maxLeasedConnections > 0 else {
                throw RedisError(
                    .invalidConfiguration,
                    "sharedConnections must be 1 to 64, and maxLeasedConnections 1 or more."
                )
            }
            guard acquireTimeout > .zero, acquireTimeout <= .seconds(86_400) else {
                throw RedisError(.invalidConfiguration, "acquireTimeout must be positive, and a day at most.")
            }
        }
    }
}
