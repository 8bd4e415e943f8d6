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

    /// Why a connection ended.
    init(duringConnection error: any Error) {
        #if TLS
        if Self.isRaggedEnd(error) {
            self.init(.connectionClosed, "The connection ended without a word: the server may have died.", cause: error)
            return
        }
        if error is NIOSSLError || error is NIOSSLExtraError || error is BoringSSLError {
            self.init(
                .tlsFailure,
                "TLS failed (\(error)). Check that the server speaks TLS on this port, that its certificate is for "
                    + "this host and from a trusted authority, and whether it asks for a client certificate.",
                cause: error
            )
            return
        }
        #endif
        self.init(.connectionClosed, "The connection broke.", cause: error)
    }

    #if TLS
    /// Whether the peer closed the connection without ending TLS, as processes do that are killed, and Redis always.
    private static func isRaggedEnd(_ error: any Error) -> Bool {
        switch error as? NIOSSLError {
        case .uncleanShutdown: true
        case .handshakeFailed(.sslError(let stack)): stack.contains(.eofDuringHandshake)
        default: false
        }
    }
    #endif
}
