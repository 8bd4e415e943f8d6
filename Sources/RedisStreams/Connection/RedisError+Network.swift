internal import NIOCore
internal import NIOPosix

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
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
}
