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

    /// How many bytes of a server's text are read: what it has to say stands at the beginning.
    private static let maxTextBytes = 512

    /// An error reply of the server.
    ///
    /// - Parameter secret: What the error must not show, whatever the server repeats.
    init(serverText: String, command: String?, secret: Password? = nil) {
        var serverText = serverText
        self = serverText.withUTF8 { bytes in
            unsafe RedisError(serverText: UnsafeRawBufferPointer(bytes), command: command, secret: secret)
        }
    }

    /// An error reply of the server. `deniedSubject` says, of a text about a right that lacks, what the right is needed for.
    init(
        serverText bytes: UnsafeRawBufferPointer,
        command: String?,
        secret: Password?,
        deniedSubject: (String) -> String? = { _ in nil }
    ) {
        let text = unsafe String(decoding: bytes.prefix(Self.maxTextBytes), as: UTF8.self)
        let firstWord = Self.firstWord(of: text)
        var code = Self.codes[firstWord] ?? .serverError
        // The one error that is not told by its first word: it is sent in place of a handshake, in this wording since 2.4.
        if code == .serverError, text.utf8.contains("max number of clients".utf8) { code = .tooManyClients }
        let shown = unsafe Self.excerpt(of: bytes, without: secret)
        if let denial = Self.denial(in: shown) {
            let subject = deniedSubject(denial).map { ". \($0)" } ?? ""
            let message = Self.scrubbed(denial).droppingFullStop + subject + (Self.advice(for: .permissionDenied) ?? "")
            self.init(.permissionDenied, message, command: command, serverCode: "NOPERM")
            return
        }
        // A word that Redis itself uses tells nothing of a secret that is the same.
        let isKnown = Self.codes[firstWord] != nil || firstWord == "ERR"
        let serverCode = isKnown ? firstWord : Self.firstWord(of: shown)
        let isSecretive = command.map { Self.secretive.contains($0.uppercased()) } ?? false
        let kept = isSecretive ? serverCode : Self.scrubbed(shown)
        let message = Self.advice(for: code).map { kept.droppingFullStop + $0 }
        self.init(code, message ?? kept, command: command, serverCode: serverCode)
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

    private static func firstWord(of text: String) -> String {
        printable(unwrapped(text).unicodeScalars.prefix(32).prefix { $0 != " " })
    }

    /// The error without what a server before 7.0 puts before one that a command in a script has met: a place, and a dash.
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

    /// Server text without `secret`, without the arguments that some errors repeat, without control characters, and not
    /// for ever long.
    static func scrubbed(_ bytes: UnsafeRawBufferPointer, without secret: Password?) -> String {
        unsafe scrubbed(excerpt(of: bytes, without: secret))
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

    /// The beginning of a text, with `****` in the place of `secret`.
    private static func excerpt(of bytes: UnsafeRawBufferPointer, without secret: Password?) -> String {
        guard let secret = secret.map({ Array($0.value.utf8) }), !secret.isEmpty else {
            return unsafe String(decoding: bytes.prefix(maxTextBytes), as: UTF8.self)
        }
        var result: [UInt8] = []
        var next = 0
        // A secret that begins before the cut is looked at to its end, so that no part of it is left.
        while next < min(bytes.count, maxTextBytes) {
            if unsafe bytes[next...].starts(with: secret) {
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
        case .redirected: ". The server is part of a cluster, which this client does not route in yet."
        default: nil
        }
    }
}

extension String {
    fileprivate var droppingFullStop: String { hasSuffix(".") ? String(dropLast()) : self }
}
