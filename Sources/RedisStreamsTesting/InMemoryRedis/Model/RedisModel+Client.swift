internal import DequeModule
internal import RedisStreams

extension RedisModel {
    /// What the server knows of a connection.
    final class Client {
        let connection: ConnectionID
        /// What `CLIENT ID` tells: it begins again when the server does.
        let number: Int
        let since: Time
        var name: Bytes = []
        var database = 0
        var isAuthenticated = false
        var isClosed = false
        var usesRESP3 = false
        /// Whether the connection is closed once the reply has left.
        var closesAfterReply = false
        var transaction: Transaction?
        /// Keys, and how often each had been changed when the watch began.
        var watches: [(place: KeyPlace, changes: Int)] = []
        var wait: Wait?
        /// Commands that came while the connection waits.
        var inbox: Deque<Request> = []
        /// The command that was executed last, in small letters.
        var lastCommand = ""

        init(connection: ConnectionID, number: Int, since: Time) {
            self.connection = connection
            self.number = number
            self.since = since
        }

        var isWaiting: Bool { wait != nil }
    }

    /// What a client has sent.
    enum Request {
        /// Never empty.
        case command([Bytes])
        /// Something that is answered with this error.
        case refusal(ReplyError)
    }

    /// The commands between `MULTI` and `EXEC`.
    struct Transaction {
        var commands: [[Bytes]] = []
        /// Whether one of them was refused.
        var isBroken = false
    }

    /// A blocked `XREAD` or `XREADGROUP`.
    struct Wait {
        var places: [KeyPlace]
        /// What each stream is read from; not used for groups.
        var ids: [StreamID]
        var group: GroupReading?
        /// 0 for any number.
        var count: Int
        /// By the monotonic clock; `nil` for never.
        var deadline: Int?
        /// The command, with ids for `$`.
        var command: [Bytes]
    }

    /// Who reads for a group, and how.
    struct GroupReading {
        var group: Bytes
        var consumer: Bytes
        var isAcknowledged: Bool
    }
}
