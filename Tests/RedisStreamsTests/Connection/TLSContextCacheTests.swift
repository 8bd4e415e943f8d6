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
    }
}
#endif
