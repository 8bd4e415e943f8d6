#if TLS
import NIOCore
import Testing

@testable import RedisStreams

@Suite struct TLSContextCacheTests {
    @Test func `Certificates are read once for connections with the same settings, for a minute`() throws {
        let cache = TLSContextCache()
        let now = NIODeadline.now()
        let first = try cache.context(for: TLSSettings(), now: now)
        #expect(try cache.context(for: TLSSettings(), now: now + .seconds(59)) === first)
        #expect(try cache.context(for: TLSSettings(), now: now + .seconds(61)) !== first)
        var settings = TLSSettings()
        settings.verification = .dangerouslyDisabled
        #expect(try cache.context(for: settings, now: now) !== first)
        settings = TLSSettings()
        settings.minimumVersion = .v1_3
        #expect(try cache.context(for: settings, now: now) !== first)
    }

    @Test(arguments: ["trustRoots", "certificate", "no such file"])
    func `The error names the part of the settings that cannot be read, and shows nothing of it`(part: String) {
        let text = Array("hunter2-secret".utf8)
        var settings = TLSSettings()
        switch part {
        case "trustRoots": settings.trustRoots = .pem(text)
        case "no such file":
            settings.clientCertificate = .files(certificate: "/no/such.pem", privateKey: "/no/such.key")
        default: settings.clientCertificate = .pem(certificate: text, privateKey: text)
        }
        let error = error { () throws(RedisError) in
            _ = try TLSHandlerFactory(settings, address: .tcp(host: "localhost"), contexts: TLSContextCache())
        }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains(part == "trustRoots" ? "trustRoots" : "clientCertificate") == true)
        #expect(error?.message.contains("hunter2") == false)
    }
}
#endif
