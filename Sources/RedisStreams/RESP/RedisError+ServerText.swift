extension RedisError {
    private static let codes: [String: Code] = [
        "WRONGPASS": .authenticationFailed, "NOAUTH": .authenticationFailed, "NOPERM": .permissionDenied,
        "WRONGTYPE": .wrongType, "NOGROUP": .noGroup, "BUSYGROUP": .groupExists, "UNBLOCKED": .unblocked,
        "LOADING": .loading, "BUSY": .busy, "OOM": .outOfMemory, "MISCONF": .misconfigured,
        "NOREPLICAS": .noReplicas, "READONLY": .readOnly, "MASTERDOWN": .masterDown, "TRYAGAIN": .clusterUnavailable,
        "CLUSTERDOWN": .clusterUnavailable, "MOVED": .redirected, "ASK": .redirected, "CROSSSLOT": .crossSlot,
        "EXECABORT": .transactionAborted, "NOSCRIPT": .noScript,
    ]

    /// Commands whose error replies may repeat a secret.
    private static let secretive: Set<String> = ["AUTH", "HELLO", "ACL SETUSER", "CONFIG SET", "MIGRATE"]

    /// How many bytes of a server's text are read. Servers put the reason at the beginning.
    private static let maxTextBytes = 512

    /// An error reply of the server.
    ///
    /// - Parameter secret: The password that the error must not show, even if the server repeats it.
    init(serverText: String, command: String?, secret: Password? = nil) {
        var serverText = serverText
        self = serverText.withUTF8 { bytes in
            unsafe RedisError(
                serverText: UnsafeRawBufferPointer(bytes),
                command: command,
                secrets: Secrets(secret)
            )
        }
    }

    /// An error reply of the server.
    ///
    /// - Parameter deniedSubject: Given the server's text about a missing right, returns what the right is needed for.
    init(
        serverText bytes: UnsafeRawBufferPointer,
        command: String?,
        secrets: Secrets,
        deniedSubject: (String) -> String? = { _ in nil }
    ) {
        let text = unsafe String(decoding: bytes.prefix(Self.maxTextBytes), as: UTF8.self)
        let firstWord = Self.firstWord(of: text)
        var code = Self.codes[firstWord] ?? .serverError
        // The only error that its first word does not identify. A server sends it as soon as it has accepted the
        // connection, with this wording since 2.4.
        if code == .serverError, text.utf8.contains("max number of clients".utf8) { code = .tooManyClients }
        let shown = unsafe Self.excerpt(of: bytes, without: secrets)
        if let denial = Self.denial(in: shown) {
            let subject = deniedSubject(denial).map { ". \($0)" } ?? ""
            let message = Self.scrubbed(denial).droppingFullStop + subject + (Self.advice(for: .permissionDenied) ?? "")
            self.init(.permissionDenied, message, command: command, serverCode: "NOPERM")
            return
        }
        // A first word that Redis itself uses is kept even if the secret is the same word: it reveals nothing.
        let isKnown = Self.codes[firstWord] != nil || firstWord == "ERR"
        let serverCode = isKnown ? firstWord : Self.firstWord(of: shown)
        let isSecretive = command.map { Self.secretive.contains($0.uppercased()) } ?? false
        let kept = isSecretive ? serverCode : Self.scrubbed(shown)
        let message = Self.advice(for: code).map { kept.droppingFullStop + $0 }
        let redirection = code == .redirected ? Redirection(serverText: text) : nil
        self.init(code, message ?? kept, command: command, serverCode: serverCode, cause: redirection)
    }

    /// The server's text about a missing right; `nil` for any other error.
    ///
    /// For a command in a script, no server begins the text with `NOPERM`: 6.2 and 7.0 have one wording, later versions
    /// and Valkey another. The place in the script follows; the result leaves it out.
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

    private static func firstWord(of text: String) -> String {
        printable(unwrapped(text).unicodeScalars.prefix(32).prefix { $0 != " " })
    }

    /// The error without the place and the dash that servers before 7.0 put before the error of a command in a script.
    private static func unwrapped(_ text: String) -> Substring {
        var rest = text[...]
        while let range = rest.utf8.firstRange(of: "@user_script:".utf8) {
            let behind = rest[range.upperBound...].drop { $0 == " " || $0.isASCII && $0.isNumber }
            guard behind.hasPrefix(": ") else { break }
            rest = behind.dropFirst(2)
        }
        return rest.utf8.count < text.utf8.count && rest.first == "-" ? rest.dropFirst() : rest
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

    /// The beginning of a server's text, without `secrets`, without the arguments that some errors repeat, and without
    /// control characters.
    static func scrubbed(_ bytes: UnsafeRawBufferPointer, without secrets: Secrets) -> String {
        unsafe scrubbed(excerpt(of: bytes, without: secrets))
    }

    private static func scrubbed(_ text: String) -> String {
        var kept = text[...]
        for marker in ["with args beginning with", "wrong command:"] {
            if let range = kept.utf8.firstRange(of: marker.utf8) { kept = kept[..<range.lowerBound] }
        }
        var result = printable(kept.unicodeScalars.prefix(300))
        while let last = result.last, last == " " || last == "," { result.removeLast() }
        return result
    }

    /// The beginning of a text, with `****` in place of each of `secrets`.
    private static func excerpt(of bytes: UnsafeRawBufferPointer, without secrets: Secrets) -> String {
        // The longest is tried first: another one may be a part of it.
        let secrets = secrets.passwords.map { Array($0.value.utf8) }.filter { !$0.isEmpty }
            .sorted { $0.count > $1.count }
        guard !secrets.isEmpty else {
            return unsafe String(decoding: bytes.prefix(maxTextBytes), as: UTF8.self)
        }
        var result: [UInt8] = []
        var next = 0
        // A secret that begins before the cut is matched beyond it, so that no part of the secret remains.
        while next < min(bytes.count, maxTextBytes) {
            if let secret = secrets.first(where: { unsafe bytes[next...].starts(with: $0) }) {
                result += "****".utf8
                next += secret.count
            } else {
                unsafe result.append(bytes[next])
                next += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func advice(for code: Code) -> String? {
        switch code {
        case .authenticationFailed: ". Check the user name and password of the client's configuration."
        case .permissionDenied: ". Grant the right to the user with ACL SETUSER."
        case .wrongType: ". The key holds another type of value: use another key, or delete this one."
        case .tooManyClients: ". Raise the server's maxclients, or lower the number of connections."
        case .readOnly: ". The server is a replica: connect to its master."
        case .redirected: ". The server is part of a cluster: connect with redis+cluster:// and some of its nodes."
        default: nil
        }
    }
}

extension String {
    fileprivate var droppingFullStop: String { hasSuffix(".") ? String(dropLast()) : self }
}
