internal import NIOCore
internal import NIOPosix

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

#if TLS
internal import NIOSSL
#endif

extension RedisError {
    /// Why a connection could not be made.
    init(connecting error: any Error, to address: ServerAddress) {
        if let error = error as? RedisError {
            self = error
            return
        }
        if let error = error as? NIOConnectionError {
            self.init(connectionError: error, address: address)
        } else if case .connectTimeout? = error as? ChannelError {
            self.init(
                .connectTimeout,
                "\(address) did not answer in time. Check the address, firewalls and connectTimeout.",
                cause: error
            )
        } else if let error = error as? IOError {
            self.init(ioError: error, address: address)
        } else {
            self.init(duringConnection: error)
        }
    }

    private init(connectionError error: NIOConnectionError, address: ServerAddress) {
        if error.connectionErrors.isEmpty {
            // A lookup of a name opens files and sockets too, and does not report when it cannot.
            if let fault = Self.openFilesFault {
                self.init(ioError: IOError(errnoCode: fault, reason: "getaddrinfo"), address: address)
                return
            }
            self.init(
                .hostNotFound,
                "The host name of \(address) has no address. Check its spelling and the DNS.",
                cause: error
            )
        } else if let ioError = error.connectionErrors.lazy.compactMap({ $0.error as? IOError }).first {
            self.init(ioError: ioError, address: address)
        } else {
            self.init(
                .connectTimeout,
                "\(address) did not answer in time. Check the address, firewalls and connectTimeout.",
                cause: error
            )
        }
    }

    private init(ioError error: IOError, address: ServerAddress) {
        switch error.errnoCode {
        case EMFILE:
            self.init(
                .connectionUnavailable,
                "This process has as many files open as it may (EMFILE), sockets included. Raise its limit (ulimit -n), "
                    + "or look for what leaves files open.",
                cause: error
            )
        case ENFILE:
            self.init(
                .connectionUnavailable,
                "This machine has as many files open as it may (ENFILE), sockets included. Raise the system's limit.",
                cause: error
            )
        case ETIMEDOUT:
            self.init(.connectTimeout, "\(address) did not answer in time.", cause: error)
        case EACCES, EPERM:
            self.init(.connectionRefused, "This process may not connect to \(address).", cause: error)
        case ECONNREFUSED:
            self.init(.connectionRefused, "Nothing listens at \(address). Is the server running there?", cause: error)
        case ENOENT:
            self.init(.connectionRefused, "There is no socket at \(address). Is the server running?", cause: error)
        case ENETUNREACH, EHOSTUNREACH:
            self.init(.connectionRefused, "There is no route to \(address).", cause: error)
        default:
            self.init(
                .connectionRefused,
                "Could not connect to \(address) (errno \(error.errnoCode)). Is the server running there?",
                cause: error
            )
        }
    }

    /// Why the process cannot open a file now; `nil` if it can.
    private static var openFilesFault: Int32? {
        let descriptor = unsafe open("/dev/null", O_RDONLY)
        guard descriptor < 0 else {
            close(descriptor)
            return nil
        }
        return [EMFILE, ENFILE].contains(errno) ? errno : nil
    }

    /// Why a connection ended.
    ///
    /// - Parameter certificateHasExpired: Whether the peer has shown a certificate that has expired.
    init(duringConnection error: any Error, certificateHasExpired: Bool = false) {
        #if TLS
        if Self.isRaggedEnd(error) {
            self.init(.connectionClosed, "The connection ended without a word: the server may have died.", cause: error)
            return
        }
        if error is NIOSSLError || error is NIOSSLExtraError || error is BoringSSLError {
            let fault = certificateHasExpired ? "the server's certificate has expired." : Self.tlsFault(error)
            self.init(.tlsFailure, "TLS failed: \(fault)", cause: error)
            return
        }
        #endif
        self.init(.connectionClosed, "The connection broke.", cause: error)
    }

    #if TLS
    /// The error of the TLS library in plain words: its own text is a dump of its errors, with the paths of its sources.
    private static func tlsFault(_ error: any Error) -> String {
        if let error = error as? NIOSSLExtraError, error == .failedToValidateHostname {
            return
                "the server's certificate is for another host than the one connected to (see TLSSettings.serverName)."
        }
        let text = "\(error)"
        return tlsFaults.first { text.contains($0.word) }?.fault
            ?? "check that the server speaks TLS on this port, that its certificate is for this host and from a trusted "
            + "authority, and whether it asks for a client certificate."
    }

    private static let tlsFaults: [(word: String, fault: String)] = [
        (
            "CERTIFICATE_VERIFY_FAILED",
            "the server's certificate is not from an authority that is trusted here (see TLSSettings.trustRoots)."
        ),
        ("CERTIFICATE_EXPIRED", "the server takes the client's certificate for expired."),
        (
            "CERTIFICATE",
            "the server asks for a client certificate, or does not accept this one (see TLSSettings.certificateFile)."
        ),
        ("UNKNOWN_CA", "the server does not trust the authority of the client's certificate."),
        ("WRONG_VERSION_NUMBER", "the peer answered without TLS. Is this its port for TLS?"),
        ("HTTP_REQUEST", "the peer answered without TLS. Is this its port for TLS?"),
        ("PROTOCOL_VERSION", "the two sides have no version of TLS in common: 1.2 or later is needed."),
        ("UNSUPPORTED_PROTOCOL", "the two sides have no version of TLS in common: 1.2 or later is needed."),
    ]

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
