internal import NIOCore

/// Where a Redis server listens.
public enum ServerAddress: Sendable, Hashable {
    /// A host name, or an IP address (IPv6 without brackets), and a port from 1 to 65535. Default: 6379.
    case tcp(host: String, port: Int = 6379)

    /// The absolute path of a Unix socket.
    case unixSocket(path: String)

    /// Checks that a server can be at the address.
    ///
    /// - Throws: ``RedisError`` with ``RedisError/Code/invalidConfiguration``.
    func validate() throws(RedisError) {
        guard let fault else { return }
        throw RedisError(.invalidConfiguration, "The server address cannot work: \(fault).")
    }

    /// What is wrong, as a clause that does not repeat the address.
    var fault: String? {
        switch self {
        case .tcp(let host, let port):
            return Self.fault(ofHost: host) ?? ((1...65535).contains(port) ? nil : "the port is not from 1 to 65535")
        case .unixSocket(let path):
            return Self.fault(ofPath: path)
        }
    }

    private static func fault(ofHost host: String) -> String? {
        if host.isEmpty { return "the host is missing" }
        if host.utf8.contains(UInt8(ascii: ":")) {
            let isIPv6 = !host.utf8.contains(UInt8(ascii: "%")) && (try? SocketAddress(ipAddress: host, port: 0)) != nil
            return isIPv6 ? nil : "the host is not an IPv6 address (zones such as %eth0 are not supported)"
        }
        if host.utf8.count > 253 { return "the host name is longer than 253 bytes" }
        return host.utf8.allSatisfy(isHostByte)
            ? nil : "the host holds a character that host names do not have (write other alphabets in punycode, xn--…)"
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default:
            false
        }
    }

    private static func fault(ofPath path: String) -> String? {
        guard path.utf8.first == UInt8(ascii: "/"), path.utf8.last != UInt8(ascii: "/") else {
            return "the path of the socket is not the absolute path of a file"
        }
        if path.utf8.contains(0) { return "the path of the socket holds a NUL byte" }
        // The size of `sun_path`, which ends with a NUL.
        #if canImport(Darwin)
        let limit = 103
        #else
        let limit = 107
        #endif
        return path.utf8.count > limit ? "the path of the socket is longer than the system's \(limit) bytes" : nil
    }
}

/// An IP address, however it is written.
struct IPAddress: Equatable {
    private let address: SocketAddress

    init?(_ text: String) {
        guard let address = try? SocketAddress(ipAddress: text, port: 0) else { return nil }
        self.address = address
    }
}

extension ServerAddress: CustomStringConvertible {
    /// `host:port`, with brackets around an IPv6 address, or the path of the socket.
    public var description: String {
        switch self {
        case .tcp(let host, let port): host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unixSocket(let path): path
        }
    }
}
