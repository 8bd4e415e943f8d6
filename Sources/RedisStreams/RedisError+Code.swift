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
        /// The peer broke the protocol, or one of ``RESPLimits``.
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

extension RedisError {
    private static let codes: [String: Code] = [
        "WRONGPASS": .authenticationFailed, "NOAUTH": .authenticationFailed, "NOPERM": .permissionDenied,
        "WRONGTYPE": .wrongType, "NOGROUP": .noGroup, "BUSYGROUP": .groupExists, "UNBLOCKED": .unblocked,
        "LOADING": .loading, "BUSY": .busy, "OOM": .outOfMemory, "MISCONF": .misconfigured,
        "NOREPLICAS": .noReplicas, "READONLY": .readOnly, "MASTERDOWN": .masterDown, "TRYAGAIN": .clusterUnavailable,
        "CLUSTERDOWN": .clusterUnavailable, "MOVED": .redirected, "ASK": .redirected, "CROSSSLOT": .crossSlot,
        "EXECABORT": .transactionAborted, "NOSCRIPT": .noScript,
    ]

    /// Commands whose errors may repeat a secret.
    private static let secretive: Set<String> = ["AUTH", "HELLO", "ACL SETUSER", "CONFIG SET", "MIGRATE"]

    /// An error reply of the server. `deniedSubject` says, of a text about a right that lacks, what the right is needed for.
    init(serverText: String, command: String?, deniedSubject: (String) -> String? = { _ in nil }) {
        if let denial = Self.denial(in: serverText) {
            let subject = deniedSubject(denial).map { ". \($0)" } ?? ""
            let message = Self.scrubbed(denial).droppingFullStop + subject + (Self.advice(for: .permissionDenied) ?? "")
            self.init(.permissionDenied, message, command: command, serverCode: "NOPERM")
            return
        }
        let serverCode = Self.printable(Self.unwrapped(serverText).unicodeScalars.prefix(32).prefix { $0 != " " })
        var code = Self.codes[serverCode] ?? .serverError
        // The one error that is not told by its first word: it is sent in place of a greeting, in this wording since 2.4.
        if code == .serverError, serverText.contains("max number of clients") { code = .tooManyClients }
        let isSecretive = command.map { Self.secretive.contains($0.uppercased()) } ?? false
        let text = isSecretive ? serverCode : Self.scrubbed(serverText)
        let message = Self.advice(for: code).map { text.droppingFullStop + $0 }
        self.init(code, message ?? text, command: command, serverCode: serverCode)
    }

    /// What the server says of a right that lacks; `nil` for any other error.
    ///
    /// Of a command in a script, no server says so by the first word: 6.2 and 7.0 have one wording, later ones and Valkey
    /// another. Behind it stands the place in the script.
    private static func denial(in text: String) -> String? {
        if text.hasPrefix("NOPERM") { return text.dropFirst(6).first == " " || text.count == 6 ? text : nil }
        var own = unwrapped(text)
        if own.hasPrefix("ERR ") { own = own.dropFirst(4) }
        let failure = "ACL failure in script: "
        if own.hasPrefix(failure) {
            own = own.dropFirst(failure.count)
        } else if !own.hasPrefix("The user executing the script can't ") {
            return nil
        }
        return "NOPERM \(own.firstRange(of: " script: ").map { own[..<$0.lowerBound] } ?? own)"
    }

    /// The error without what a server before 7.0 puts before one that a command in a script has met: a place, and a dash.
    private static func unwrapped(_ text: String) -> Substring {
        let place = "@user_script:"
        var rest = Substring(text)
        while let range = rest.firstRange(of: place) {
            let behind = rest[range.upperBound...].drop { $0 == " " || $0.isASCII && $0.isNumber }
            guard behind.hasPrefix(": ") else { break }
            rest = behind.dropFirst(2)
        }
        return rest.count < text.count && rest.first == "-" ? rest.dropFirst() : rest
    }

    static func printable(_ scalars: Substring.UnicodeScalarView) -> String {
        var result = String.UnicodeScalarView()
        for scalar in scalars {
            switch scalar.value {
            case 0..<0x20, 0x7f..<0xa0, 0x2028, 0x2029: result.append("?")
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    /// Server text without the arguments that some errors repeat, without control characters, and not for ever long.
    static func scrubbed(_ text: String) -> String {
        var kept = Substring(text)
        for marker in ["with args beginning with", "wrong command:"] {
            if let range = kept.firstRange(of: marker) { kept = kept[..<range.lowerBound] }
        }
        var result = printable(kept.unicodeScalars.prefix(300))
        while let last = result.last, last == " " || last == "," { result.removeLast() }
        return result
    }

    private static func advice(for code: Code) -> String? {
        switch code {
        case .authenticationFailed: ". Check the user name and password of the client's configuration."
        case .permissionDenied: ". Grant the right to the user with ACL SETUSER."
        case .wrongType: ". The key holds another type of value: use another key, or delete this one."
        case .tooManyClients: ". Raise the server's maxclients, or lower the number of connections."
        case .readOnly: ". The server is a replica: connect to its master."
        case .redirected: ". The server is part of a cluster, which this client does not route in yet."
        default: nil
        }
    }
}

extension String {
    fileprivate var droppingFullStop: String { hasSuffix(".") ? String(dropLast()) : self }
}
