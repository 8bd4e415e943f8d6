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
    @Test(
        arguments: [
            (NIOSSLExtraError.failedToValidateHostname, .valid, .wrongName, "for another host"),
            (
                NIOSSLError.unableToValidateCertificate, .valid, .untrustedCertificate,
                "from an authority that is trusted"
            ),
            (NIOSSLError.unableToValidateCertificate, .expired, .expiredCertificate, "has expired"),
            (NIOSSLError.unableToValidateCertificate, .notYetValid, .expiredCertificate, "not valid yet"),
            (NIOSSLError.cannotFindPeerIP, .valid, .other, "check that the server speaks TLS"),
        ] as [(any Error, PeerCertificate, RedisError.TLSFailure, String)]
    )
    func `A failure of TLS has its reason, and says what to do in plain words`(
        cause: any Error,
        peer: PeerCertificate,
        failure: RedisError.TLSFailure,
        words: String
    ) {
        let error = RedisError(duringConnection: cause, peer: peer)
        #expect(error.code == .tlsFailure)
        #expect(error.tlsFailure == failure)
        #expect(!error.isRetriable)
        #expect(error.message.hasPrefix("TLS failed: "))
        #expect(error.message.contains(words))
        #expect(error.about(command: "PING").tlsFailure == failure)
    }
    #endif

    @Test(
        arguments: [
            ("CERTIFICATE_VERIFY_FAILED", .valid, false, .untrustedCertificate),
            ("CERTIFICATE_VERIFY_FAILED", .expired, false, .expiredCertificate),
            ("TLSV1_ALERT_CERTIFICATE_REQUIRED", .valid, false, .clientCertificateRequired),
            ("SSLV3_ALERT_HANDSHAKE_FAILURE", .valid, false, .clientCertificateRequired),
            ("SSLV3_ALERT_HANDSHAKE_FAILURE", .valid, true, .clientCertificateRefused),
            ("SSLV3_ALERT_HANDSHAKE_FAILURE", .none, true, .other),
            ("TLSV1_ALERT_UNKNOWN_CA", .valid, true, .clientCertificateRefused),
            ("SSLV3_ALERT_CERTIFICATE_EXPIRED", .valid, true, .clientCertificateRefused),
            // The server complains, and its own certificate that has expired is not the reason.
            ("SSLV3_ALERT_BAD_CERTIFICATE", .expired, false, .clientCertificateRequired),
            ("WRONG_VERSION_NUMBER", .none, false, .plaintextServer),
            ("TLSV1_ALERT_PROTOCOL_VERSION", .none, false, .noCommonVersion),
        ] as [(String, PeerCertificate, Bool, RedisError.TLSFailure)]
    )
    func `The names of the TLS library's errors`(
        name: String,
        peer: PeerCertificate,
        hasCertificate: Bool,
        failure: RedisError.TLSFailure
    ) {
        let text = "sslError([Error: 1 error:1:SSL routines:OPENSSL_internal:\(name) at file:1])"
        #expect(RedisError.TLSFailure.named(in: text, peer, hasClientCertificate: hasCertificate) == failure)
    }

    @Test(arguments: [nil, true, false], [true, false])
    func `The end before the first reply says what may be behind it`(isEncrypted: Bool?, hasCertificate: Bool) {
        let end = RedisError(.connectionClosed, "The server closed the connection.")
        let message = end.beforeFirstReply(isEncrypted: isEncrypted, hasClientCertificate: hasCertificate).message
        #expect(message.contains("rediss://") == (isEncrypted == nil))
        #expect(message.contains("TLSSettings.clientCertificate") == (isEncrypted == true && !hasCertificate))
        #expect(message.contains("had not agreed") == (isEncrypted == false))
        let other = RedisError(.tooManyClients, "full")
        #expect(other.beforeFirstReply(isEncrypted: isEncrypted, hasClientCertificate: false).message == "full")
    }
}
