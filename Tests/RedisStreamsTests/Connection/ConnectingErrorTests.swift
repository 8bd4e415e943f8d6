import NIOCore
import Testing

@testable import RedisStreams

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif
#if TLS
import NIOSSL
#endif

@Suite struct ConnectingErrorTests {
    @Test(arguments: [(EMFILE, "This process"), (ENFILE, "This machine")])
    func `The error names too many open files, and is retriable`(errno: Int32, who: String) {
        let error = RedisError(connecting: IOError(errnoCode: errno, reason: "socket"), to: .tcp(host: "localhost"))
        #expect(error.code == .connectionUnavailable)
        #expect(error.isRetriable)
        #expect(error.message.hasPrefix("\(who) has as many files open as it may"))
        #expect(!error.message.contains("running"))
    }

    @Test(arguments: ["", "a b", String(repeating: "a", count: 254), "a\0b", "10.0.0.1", "::1"])
    func `A server name that could not be verified is refused`(name: String) {
        var configuration = RedisClient.Configuration(address: .tcp(host: "127.0.0.1"))
        configuration.connection.tls = TLSSettings()
        configuration.connection.tls?.serverName = name
        #expect(error { () throws(RedisError) in try configuration.validate() }?.code == .invalidConfiguration)
    }

    @Test(
        arguments: [
            ("127.0.0.1", nil), ("127.0.0.1", "127.0.0.1"), ("::1", "0:0::1"), ("127.0.0.1", "redis.example.org"),
            ("localhost", "redis.example.org"),
        ] as [(String, String?)]
    )
    func `A server name that can be verified is accepted`(host: String, name: String?) {
        var configuration = RedisClient.Configuration(address: .tcp(host: host))
        configuration.connection.tls = TLSSettings()
        configuration.connection.tls?.serverName = name
        let refusal = error { () throws(RedisError) in try configuration.validate() }
        #expect(refusal == nil)
    }

    #if TLS
    @Test func `The error names a certificate for another host, and one that has expired, in plain words`() {
        let other = RedisError(duringConnection: NIOSSLExtraError.failedToValidateHostname)
        #expect(other.code == .tlsFailure)
        #expect(other.message.contains("for another host"))
        let late = RedisError(duringConnection: NIOSSLError.unableToValidateCertificate, certificateHasExpired: true)
        #expect(late.message == "TLS failed: the server's certificate has expired.")
        let unknown = RedisError(duringConnection: NIOSSLError.cannotFindPeerIP)
        #expect(unknown.message.hasPrefix("TLS failed: check that the server speaks TLS"))
    }
    #endif
}
