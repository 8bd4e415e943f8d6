extension RedisConnection {
    /// How a single connection is made, and what it allows.
    public struct Configuration: Sendable {
        /// Where the server listens.
        public var address: ServerAddress

        /// TLS, or `nil` for plain text. Default: `nil`.
        public var tls: TLSSettings?

        /// The user, for servers with access control lists. Default: `nil`, which is the user `default`.
        public var username: String?

        /// The password. Default: `nil`, which sends no `AUTH`.
        public var password: Password?

        /// Where user and password come from if they change, instead of ``username`` and ``password``. Default: `nil`.
        public var credentialsProvider: CredentialsProvider?

        /// The database that the connection works in. Default: 0.
        public var database: Int = 0

        /// The name under which `CLIENT LIST` shows the connection. Default: `nil`.
        public var clientName: String?

        /// How long each step of connecting may take: the credentials provider; name lookup and TCP; TLS and the handshake
        /// with Redis, both together. Default: 5 s.
        public var connectTimeout: Duration = .seconds(5)

        /// How long the server may take to answer a command before the connection counts as dead and is closed. Commands
        /// that block have the time they block for on top; twice that time and a second, if it is more. Default: 10 s.
        public var commandTimeout: Duration = .seconds(10)

        /// How long a TCP connection may be silent before the kernel asks whether the peer is alive, in whole seconds,
        /// and 32,767 s at most. Default: 15 s.
        public var keepAliveInterval: Duration = .seconds(15)

        /// How long sent bytes may stay unconfirmed before the kernel ends the connection (`TCP_USER_TIMEOUT`, on
        /// Linux). Default: 15 s.
        public var unacknowledgedTimeout: Duration = .seconds(15)

        /// Whether the connection sends `ASKING` before each command with keys, for a slot that is being moved.
        var asks = false

        /// Whether the server has to say by `ROLE` that it is a master.
        var requiresMaster = false

        /// What the connection accepts from the server.
        public var limits: RESPLimits = RESPLimits()

        /// Connects to `address` with the defaults.
        public init(address: ServerAddress = .tcp(host: "127.0.0.1")) {
            self.address = address
        }

        func validate() throws(RedisError) {
            try limits.validate()
            let durations = [connectTimeout, commandTimeout, keepAliveInterval, unacknowledgedTimeout]
            guard durations.allSatisfy({ $0 > .zero && $0 <= .seconds(86_400) }) else {
                throw RedisError(.invalidConfiguration, "Timeouts must be positive, and a day at most.")
            }
            // The kernel accepts no more as TCP_KEEPIDLE. The other socket options follow from it, or have room for a day.
            guard keepAliveInterval <= .seconds(32_767) else {
                throw RedisError(.invalidConfiguration, "keepAliveInterval must be 32,767 s at most.")
            }
            guard database >= 0 else {
                throw RedisError(.invalidConfiguration, "The database must be 0 or more.")
            }
            try address.validate()
            try tls?.validate(for: address)
            if credentialsProvider != nil, username != nil || password != nil {
                throw RedisError(
                    .invalidConfiguration,
                    "There is a user or a password beside the credentialsProvider: leave one of them out."
                )
            }
            if username != nil && password == nil {
                throw RedisError(.invalidConfiguration, "A user name needs a password.")
            }
            if let clientName, clientName.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7f }) {
                throw RedisError(
                    .invalidConfiguration,
                    "The client name may only hold printable ASCII characters without spaces."
                )
            }
        }

        /// How long the server may hold back the reply to a command that blocks for `blockingTime`.
        func timeout(blockingTime: Duration?) -> Duration {
            guard let blockingTime else { return commandTimeout }
            // A command of the user may have any blocking time.
            let block = min(max(blockingTime, .zero), .seconds(31_536_000))
            return max(block * 2 + .seconds(1), block + commandTimeout)
        }
    }
}
