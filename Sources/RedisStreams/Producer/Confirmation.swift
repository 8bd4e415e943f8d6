extension StreamProducer {
    /// What has to have a message before it counts as sent.
    ///
    /// ```swift
    /// var configuration = StreamProducer.Configuration()
    /// configuration.confirmation = .replicas(2, within: .seconds(1))
    /// ```
    ///
    /// If a message is not confirmed in time, its ``StreamProducer/send(_:)`` or ``StreamProducer/Receipt/id()`` throws
    /// ``RedisError/Code/unconfirmed``: the message is in the stream, and ``RedisError/unconfirmedEntry`` says how far it got.
    /// The producer neither sends it again nor removes it.
    ///
    /// With anything but ``reply``, the producer leases a connection of its own, as a consumer does. It sends one batch after
    /// another, each with one `WAIT` or `WAITAOF` behind it, so it takes as long for a batch as its slowest replica: messages
    /// that are sent one by one cost a round trip to the replicas each, and a larger ``Configuration/batchCount`` makes many
    /// cheaper. A client that ends waits for a confirmation that is on its way.
    public struct Confirmation: Sendable {
        /// `nil` if the reply of the server is enough.
        let command: ConfirmationCommand?

        /// The server has added the message, and replied with its id.
        public static let reply = Confirmation(command: nil)

        /// So many replicas have received the message, not necessarily saved it (`WAIT`).
        ///
        /// This does not make a failover safe by itself. With three replicas and `.replicas(1)`, the replica that is promoted may be
        /// one that does not have the message; with all replicas, none that is promoted lacks it, but each that is down
        /// makes every send fail.
        ///
        /// - Parameters:
        ///   - count: How many replicas, at least 1. In a cluster: of the node that has the stream.
        ///   - limit: The longest time that the server waits for them, from 1 ms to 60 s.
        ///
        /// Source: [WAIT](https://redis.io/docs/latest/commands/wait/).
        public static func replicas(_ count: Int, within limit: Duration) -> Confirmation {
            Confirmation(command: ConfirmationCommand(replicas: count, limit: limit))
        }

        /// The message is in the append-only files of the server, of so many replicas, or both, and these are on disk
        /// (`WAITAOF`). Needs Redis 7.2 or Valkey; with an older server, every message fails with
        /// ``RedisError/Code/unsupportedByServer`` and is not added.
        ///
        /// - Parameters:
        ///   - local: Whether the file of the server itself has to have it. A server without an append-only file adds the
        ///     message and refuses to confirm it.
        ///   - count: How many replicas, at least 1 unless `local` is `true`. In a cluster: of the node that has the stream.
        ///   - limit: The longest time that the server waits for them, from 1 ms to 60 s. With `appendfsync everysec`, a file is
        ///     written to disk once a second.
        ///
        /// Source: [WAITAOF](https://redis.io/docs/latest/commands/waitaof/).
        public static func appendOnlyFile(local: Bool, replicas count: Int, within limit: Duration) -> Confirmation {
            Confirmation(command: ConfirmationCommand(needsFile: true, isLocal: local, replicas: count, limit: limit))
        }

        func validate() throws(RedisError) {
            guard let command else { return }
            guard command.replicas >= 0, command.replicas > 0 || command.isLocal else {
                throw RedisError(
                    .invalidConfiguration,
                    "A confirmation needs at least one replica, or the server itself."
                )
            }
            guard command.limit >= .milliseconds(1), command.limit <= .seconds(60) else {
                throw RedisError(.invalidConfiguration, "The time limit of a confirmation must be 1 ms to 60 s.")
            }
        }
    }
}

/// The command that asks who has the writes of a connection.
struct ConfirmationCommand: Sendable {
    /// Whether the writes have to be in append-only files: `WAITAOF`, and not `WAIT`.
    var needsFile = false
    /// Whether the server's own append-only file has to have the writes.
    var isLocal = false
    /// How many replicas have to have the writes.
    var replicas: Int
    /// How long the server waits for them.
    var limit: Duration

    /// Who has confirmed the writes.
    struct Confirmed: Sendable {
        var replicas: Int
        var isLocal = false
    }

    /// The command that a server answers at once, since it asks for nobody: it shows whether the server has the command, and
    /// whether the user may use it.
    var probe: ConfirmationCommand {
        ConfirmationCommand(needsFile: needsFile, replicas: 0, limit: .milliseconds(1))
    }

    private var wait: WAIT { WAIT(replicas: replicas, timeout: limit) }
    private var waitaof: WAITAOF { WAITAOF(local: isLocal, replicas: replicas, timeout: limit) }

    /// What is sent.
    var request: any RedisCommand { needsFile ? waitaof : wait }

    func result(of outcome: PendingReplies.Outcome) -> Result<Confirmed, RedisError> {
        needsFile
            ? waitaof.result(of: outcome).map { Confirmed(replicas: $0.replicas, isLocal: $0.local) }
            : wait.result(of: outcome).map { Confirmed(replicas: $0) }
    }

    /// Whether so many are enough.
    func isMet(by confirmed: Confirmed) -> Bool {
        confirmed.replicas >= replicas && (confirmed.isLocal || !isLocal)
    }
}
