extension RedisError {
    /// A kind of error. The set is open: compare with the constants, and have a default case.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The name of the kind.
        public let description: String
        let isRetriable: Bool

        private init(_ name: String, retriable: Bool = false) {
            description = name
            isRetriable = retriable
        }

        // MARK: Before a command reaches a server

        /// No server would accept one of the arguments, so the library did not send the command.
        public static let invalidArgument = Code("invalidArgument")
        /// A setting or a URL is invalid.
        public static let invalidConfiguration = Code("invalidConfiguration")
        /// The host name does not resolve to an address.
        public static let hostNotFound = Code("hostNotFound", retriable: true)
        /// Nothing listens at the address, or the network refused the connection.
        public static let connectionRefused = Code("connectionRefused", retriable: true)
        /// The connection was not established within the connect timeout.
        public static let connectTimeout = Code("connectTimeout", retriable: true)
        /// The TLS handshake failed, or the certificate does not belong to the server: ``RedisError/tlsFailure`` says why.
        public static let tlsFailure = Code("tlsFailure")
        /// No connection became free within the deadline, or the credentials provider failed.
        public static let connectionUnavailable = Code("connectionUnavailable", retriable: true)
        /// The client has been shut down, or the producer has been finished.
        public static let clientShutDown = Code("clientShutDown")
        /// The task was cancelled.
        public static let cancelled = Code("cancelled")

        // MARK: While a command is sent, or its reply is read

        /// The connection was closed before the reply arrived.
        public static let connectionClosed = Code("connectionClosed", retriable: true)
        /// The reply did not arrive before the deadline.
        public static let timeout = Code("timeout", retriable: true)
        /// The peer violated the protocol, or sent longer lines or deeper arrays than ``RESPLimits`` allow.
        public static let protocolViolation = Code("protocolViolation")
        /// The reply is larger than ``RESPLimits`` allow: ask for less at a time.
        public static let replyTooLarge = Code("replyTooLarge")
        /// The reply does not have the shape that the command's documentation describes.
        public static let unexpectedReply = Code("unexpectedReply")
        /// A field could not be decoded as the requested type.
        public static let decodingFailed = Code("decodingFailed")
        /// A value could not be encoded as fields.
        public static let encodingFailed = Code("encodingFailed")

        /// The stream does not continue at the reader's position, and its policy is ``DiscontinuityPolicy/stop``.
        public static let discontinuity = Code("discontinuity")

        // MARK: Replies of a server

        /// The server is too old for the command or one of its options.
        public static let unsupportedByServer = Code("unsupportedByServer")
        /// `WRONGPASS`, `NOAUTH`: the user or the password is wrong or missing. A credentials provider was asked again once.
        public static let authenticationFailed = Code("authenticationFailed")
        /// `NOPERM`: the user lacks a right.
        public static let permissionDenied = Code("permissionDenied")
        /// `WRONGTYPE`: the key holds something other than a stream.
        public static let wrongType = Code("wrongType")
        /// `NOGROUP`: there is no such group, or no such stream.
        public static let noGroup = Code("noGroup")
        /// `BUSYGROUP`: the group exists already.
        public static let groupExists = Code("groupExists")
        /// `UNBLOCKED`: the server ended a blocking read.
        public static let unblocked = Code("unblocked", retriable: true)
        /// `LOADING`: the server is reading its data from disk.
        public static let loading = Code("loading", retriable: true)
        /// `BUSY`: the server is running a slow script.
        public static let busy = Code("busy", retriable: true)
        /// `OOM`: the server is at its memory limit.
        public static let outOfMemory = Code("outOfMemory", retriable: true)
        /// `MISCONF`: the server cannot persist and refuses writes.
        public static let misconfigured = Code("misconfigured", retriable: true)
        /// `NOREPLICAS`: too few replicas are connected.
        public static let noReplicas = Code("noReplicas", retriable: true)
        /// The server added the message of a producer, but as many replicas as its ``StreamProducer/Confirmation`` asks for
        /// have not confirmed that they have it: see ``RedisError/unconfirmedEntry``.
        public static let unconfirmed = Code("unconfirmed")
        /// `READONLY`: the server is a replica.
        public static let readOnly = Code("readOnly", retriable: true)
        /// `MASTERDOWN`: the replica lost its master.
        public static let masterDown = Code("masterDown", retriable: true)
        /// `TRYAGAIN`, `CLUSTERDOWN`: the cluster is changing.
        public static let clusterUnavailable = Code("clusterUnavailable", retriable: true)
        /// `MOVED`, `ASK`: another node of the cluster has the key, and this client is for a single server.
        public static let redirected = Code("redirected")
        /// `MOVED`, `ASK`: another node of the cluster has the key by now. The client sends a command again, to that node;
        /// an error with this code says that nodes sent it on five times, and then once more.
        public static let slotMoving = Code("slotMoving", retriable: true)
        /// `CROSSSLOT`: the keys of one command are in different slots.
        public static let crossSlot = Code("crossSlot")
        /// `EXECABORT`: the server refused the whole transaction.
        public static let transactionAborted = Code("transactionAborted")
        /// `NOSCRIPT`: the server does not know the script.
        public static let noScript = Code("noScript")
        /// The server already has as many clients as it allows.
        public static let tooManyClients = Code("tooManyClients", retriable: true)
        /// Any other error of the server; see ``RedisError/serverCode`` and the message.
        public static let serverError = Code("serverError")
    }
}
