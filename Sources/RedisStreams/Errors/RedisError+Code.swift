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

        /// A value that Redis could not accept, refused before it was sent.
        public static let invalidArgument = Code("invalidArgument")
        /// A setting or URL that cannot work.
        public static let invalidConfiguration = Code("invalidConfiguration")
        /// The host name has no address.
        public static let hostNotFound = Code("hostNotFound", retriable: true)
        /// Nothing listens at the address, or the network refused the connection.
        public static let connectionRefused = Code("connectionRefused", retriable: true)
        /// The address could not be reached within the connect timeout.
        public static let connectTimeout = Code("connectTimeout", retriable: true)
        /// TLS could not be agreed on, or the certificate is not the server's.
        public static let tlsFailure = Code("tlsFailure")
        /// No connection became free within the deadline.
        public static let connectionUnavailable = Code("connectionUnavailable", retriable: true)
        /// The client has been shut down.
        public static let clientShutDown = Code("clientShutDown")
        /// The task was cancelled.
        public static let cancelled = Code("cancelled")

        // MARK: On the way

        /// The connection ended before the reply came.
        public static let connectionClosed = Code("connectionClosed", retriable: true)
        /// The reply did not come before the deadline.
        public static let timeout = Code("timeout", retriable: true)
        /// The peer broke the protocol, or wrote longer lines or deeper arrays than ``RESPLimits`` allow.
        public static let protocolViolation = Code("protocolViolation")
        /// The reply is larger than ``RESPLimits`` allow: ask for less at a time.
        public static let replyTooLarge = Code("replyTooLarge")
        /// The reply has another shape than the command's documentation says.
        public static let unexpectedReply = Code("unexpectedReply")
        /// A field could not be read as the type asked for.
        public static let decodingFailed = Code("decodingFailed")
        /// A value could not be written as fields.
        public static let encodingFailed = Code("encodingFailed")

        /// The stream does not go on where it was, and the reader was told to stop then.
        public static let discontinuity = Code("discontinuity")

        // MARK: What servers answer

        /// The server is too old for the command or one of its options.
        public static let unsupportedByServer = Code("unsupportedByServer")
        /// `WRONGPASS`, `NOAUTH`: user or password are wrong or missing.
        public static let authenticationFailed = Code("authenticationFailed")
        /// `NOPERM`: the user lacks a right.
        public static let permissionDenied = Code("permissionDenied")
        /// `WRONGTYPE`: the key holds something else than a stream.
        public static let wrongType = Code("wrongType")
        /// `NOGROUP`: there is no such group, or no such stream.
        public static let noGroup = Code("noGroup")
        /// `BUSYGROUP`: the group exists already.
        public static let groupExists = Code("groupExists")
        /// `UNBLOCKED`: a blocking read was ended by the server.
        public static let unblocked = Code("unblocked", retriable: true)
        /// `LOADING`: the server is reading its data from disk.
        public static let loading = Code("loading", retriable: true)
        /// `BUSY`: a script keeps the server busy.
        public static let busy = Code("busy", retriable: true)
        /// `OOM`: the server is at its memory limit.
        public static let outOfMemory = Code("outOfMemory", retriable: true)
        /// `MISCONF`: the server cannot persist and refuses writes.
        public static let misconfigured = Code("misconfigured", retriable: true)
        /// `NOREPLICAS`: too few replicas are connected.
        public static let noReplicas = Code("noReplicas", retriable: true)
        /// `READONLY`: the server is a replica.
        public static let readOnly = Code("readOnly", retriable: true)
        /// `MASTERDOWN`: the replica lost its master.
        public static let masterDown = Code("masterDown", retriable: true)
        /// `TRYAGAIN`, `CLUSTERDOWN`: the cluster is changing.
        public static let clusterUnavailable = Code("clusterUnavailable", retriable: true)
        /// `MOVED`, `ASK`: another node of the cluster has the key.
        public static let redirected = Code("redirected")
        /// `CROSSSLOT`: the keys of one command are in different slots.
        public static let crossSlot = Code("crossSlot")
        /// `EXECABORT`: the transaction was refused as a whole.
        public static let transactionAborted = Code("transactionAborted")
        /// `NOSCRIPT`: the server does not know the script.
        public static let noScript = Code("noScript")
        /// The server has as many clients as it allows.
        public static let tooManyClients = Code("tooManyClients", retriable: true)
        /// Every other error of the server; see ``RedisError/serverCode`` and the message.
        public static let serverError = Code("serverError")
    }
}
