#if TLS
internal import NIOSSL
#endif

extension RedisError {
    /// Why a connection ended.
    ///
    /// - Parameters:
    ///   - peer: The certificate that the peer has shown.
    ///   - hasClientCertificate: Whether this client has a certificate to show.
    init(duringConnection error: any Error, peer: PeerCertificate = .none, hasClientCertificate: Bool = false) {
        #if TLS
        if Self.isRaggedEnd(error) {
            self.init(.connectionClosed, "The connection ended without a word: the server may have died.", cause: error)
            return
        }
        if error is NIOSSLError || error is NIOSSLExtraError || error is BoringSSLError {
            let failure = Self.tlsFailure(of: error, peer, hasClientCertificate: hasClientCertificate)
            let fault = failure == .expiredCertificate && peer == .notYetValid ? Self.tooEarly : Self.fault(failure)
            self.init(.tlsFailure, "TLS failed: \(fault)", cause: error, tlsFailure: failure)
            return
        }
        #endif
        self.init(.connectionClosed, "The connection broke.", cause: error)
    }

    /// TLS was not agreed on within the connect timeout.
    static var tlsTimedOut: RedisError {
        RedisError(
            .connectTimeout,
            "The peer accepted the connection, and did not agree on TLS within connectTimeout. Does it speak TLS on this "
                + "port? If it does not, use redis:// or leave TLSSettings out.",
            tlsFailure: .handshakeTimedOut
        )
    }

    /// The peer answers without TLS as only a server with TLS does.
    static var tlsMissing: RedisError {
        RedisError(
            .tlsFailure,
            "The server speaks TLS on this port, and this client does not: use rediss:// or set TLSSettings.",
            tlsFailure: .encryptedServer
        )
    }

    /// Whether these are the first bytes of an alert of TLS.
    static func isAlert(_ bytes: some Sequence<UInt8>) -> Bool { bytes.starts(with: [0x15, 0x03]) }

    /// The end of a connection on which the server has not answered yet, with what may be behind it.
    ///
    /// - Parameter isEncrypted: Whether TLS was agreed on; `nil` for a connection without TLS.
    func beforeFirstReply(isEncrypted: Bool?, hasClientCertificate: Bool) -> RedisError {
        guard code == .connectionClosed else { return self }
        let hint: String
        switch isEncrypted {
        case nil:
            hint = "If it speaks TLS on this port, use rediss:// or set TLSSettings."
        case true? where !hasClientCertificate:
            // TLS 1.3 refuses a client only after the handshake, and its alert may be lost with the connection.
            hint = "It had agreed on TLS, and may demand a client certificate (TLSSettings.clientCertificate)."
        case false?:
            hint = "It had not agreed on TLS: does it speak TLS on this port?"
        default: return self
        }
        return RedisError(.connectionClosed, "\(message) \(hint)", cause: cause)
    }

    #if TLS
    private static func tlsFailure(
        of error: any Error,
        _ peer: PeerCertificate,
        hasClientCertificate: Bool
    ) -> TLSFailure {
        if let error = error as? NIOSSLExtraError, error == .failedToValidateHostname { return .wrongName }
        if case .unableToValidateCertificate? = error as? NIOSSLError { return .refused(peer) }
        return .named(in: "\(error)", peer, hasClientCertificate: hasClientCertificate)
    }

    private static let tooEarly = "the server's certificate is not valid yet: check the clocks of both machines."

    /// What has happened and what to do, in plain words.
    private static func fault(_ failure: TLSFailure) -> String {
        switch failure {
        case .expiredCertificate: "the server's certificate has expired: renew it, or check the clock of this machine."
        case .wrongName:
            "the server's certificate is for another host than the one connected to: connect to a name or IP address that "
                + "it has, or set TLSSettings.serverName."
        case .untrustedCertificate:
            "the server's certificate is not from an authority that is trusted here: set TLSSettings.trustRoots."
        case .clientCertificateRequired:
            "the server demands a client certificate: set TLSSettings.clientCertificate."
        case .clientCertificateRefused:
            "the server does not accept the client's certificate: it has to be valid, and from an authority that the server "
                + "trusts (see TLSSettings.clientCertificate)."
        case .plaintextServer:
            "the peer answered without TLS: use its port for TLS, or redis:// without TLSSettings."
        case .noCommonVersion:
            "the two sides have no version of TLS in common: see TLSSettings.minimumVersion, and the server's tls-protocols."
        default:
            "check that the server speaks TLS on this port, that its certificate is for this host and from a trusted "
                + "authority, and whether it asks for a client certificate."
        }
    }

    /// Whether the peer closed the connection without ending TLS, as a killed process does, and Redis always does.
    private static func isRaggedEnd(_ error: any Error) -> Bool {
        switch error as? NIOSSLError {
        case .uncleanShutdown: true
        case .handshakeFailed(.sslError(let stack)): stack.contains(.eofDuringHandshake)
        default: false
        }
    }
    #endif
}

extension RedisError.TLSFailure {
    /// The reason in an error of the TLS library: a text with its own names of errors, and of alerts of the server.
    static func named(in text: String, _ peer: PeerCertificate, hasClientCertificate: Bool) -> RedisError.TLSFailure {
        if text.contains("CERTIFICATE_VERIFY_FAILED") { return .refused(peer) }
        // TLS 1.2 has no alert of its own for a missing certificate. The server has shown its own by then.
        if text.contains("ALERT_HANDSHAKE_FAILURE"), peer != .none {
            return hasClientCertificate ? .clientCertificateRefused : .clientCertificateRequired
        }
        let failure = names.first { text.contains($0.name) }?.failure ?? .other
        return failure == .clientCertificateRefused && !hasClientCertificate ? .clientCertificateRequired : failure
    }

    /// The chain of the server's certificate does not lead to a trusted authority, or does at another time.
    fileprivate static func refused(_ peer: PeerCertificate) -> RedisError.TLSFailure {
        peer == .expired || peer == .notYetValid ? .expiredCertificate : .untrustedCertificate
    }

    private static let names: [(name: String, failure: RedisError.TLSFailure)] = [
        ("ALERT_CERTIFICATE_REQUIRED", .clientCertificateRequired),
        ("ALERT_CERTIFICATE", .clientCertificateRefused), ("ALERT_BAD_CERTIFICATE", .clientCertificateRefused),
        ("ALERT_UNSUPPORTED_CERTIFICATE", .clientCertificateRefused), ("ALERT_UNKNOWN_CA", .clientCertificateRefused),
        ("ALERT_ACCESS_DENIED", .clientCertificateRefused), ("ALERT_DECRYPT_ERROR", .clientCertificateRefused),
        ("WRONG_VERSION_NUMBER", .plaintextServer), ("HTTP_REQUEST", .plaintextServer),
        ("PROTOCOL_VERSION", .noCommonVersion), ("UNSUPPORTED_PROTOCOL", .noCommonVersion),
    ]
}
