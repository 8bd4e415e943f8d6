internal import DequeModule
internal import RedisStreams

extension RedisModel {
    /// The server's state of a connection.
    final class Client {
        let connection: ConnectionID
        /// The reply of `CLIENT ID`. It starts over when the server restarts.
        let number: Int
        let since: Time
        var name: Bytes = []
        var database = 0
        var isAuthenticated = false
        var isClosed = false
        var usesRESP3 = false
        /// Whether `ASKING` applies to the next command, or to the transaction that has begun.
        var isAsking = false
        /// Whether the server closes the connection after the reply.
        var closesAfterReply = false
        var transaction: Transaction?
        /// The keys of `WATCH`, and how often each had changed by then.
        var watches: [(place: KeyPlace, changes: Int)] = []
        var wait: Wait?
        /// The requests that arrived while the connection is blocked.
        var inbox: Deque<Request> = []
        /// The last executed command, in lower case.
        var lastCommand = ""

        init(connection: ConnectionID, number: Int, since: Time) {
            self.connection = connection
            self.number = number
            self.since = since
        }

        /// What a blocked `WAIT` or `WAITAOF` waits for.
        var replicaWait: ReplicaWait?

        var isWaiting: Bool { wait != nil || replicaWait != nil }
    }

    /// A request of a client.
    enum Request {
        /// The arguments of a command, never empty.
        case command([Bytes])
        /// A request that the server answers with this error.
        case refusal(ReplyError)
    }

    /// The commands between `MULTI` and `EXEC`.
    struct Transaction {
        var commands: [[Bytes]] = []
        /// Whether the server has refused one of the commands.
        var isBroken = false
    }

    /// A blocked `XREAD` or `XREADGROUP`.
    struct Wait {
        var places: [KeyPlace]
        /// The id after which each stream is read; not used for groups.
        var ids: [StreamID]
        var group: GroupReading?
        /// The most entries of each stream; 0 for any number.
        var count: Int
        /// The end of the wait, by the monotonic clock; `nil` for never.
        var deadline: Int?
        /// The command, with `$` replaced by ids.
        var command: [Bytes]
    }

    /// A blocked `WAIT` or `WAITAOF`.
    struct ReplicaWait {
        var replicas: Int
        /// The end of the wait, by the monotonic clock; `nil` for never.
        var deadline: Int?
        var isAppendOnlyFile = false
    }

    /// The group and the consumer of a blocked `XREADGROUP`.
    struct GroupReading {
        var group: Bytes
        var consumer: Bytes
        var isAcknowledged: Bool
    }
}
