import Testing

@testable import RedisStreams

@Suite struct ServerVersionTests {
    @Test(arguments: [
        ("8.2.3", ServerVersion(major: 8, minor: 2, patch: 3)), ("8.10", ServerVersion(major: 8, minor: 10)),
        ("7", ServerVersion(major: 7)), ("8.4.0-rc1", ServerVersion(major: 8, minor: 4)),
        ("255.255.255", ServerVersion(major: 255, minor: 255, patch: 255)),
        ("1.2.3.4", ServerVersion(major: 1, minor: 2, patch: 3)),
    ])
    func `A version is read`(text: String, version: ServerVersion) {
        #expect(ServerVersion(text) == version)
    }

    @Test(arguments: [
        "", ".", "8.", "8.x", "v8.2", "-1.0", "8.-2", "8.2.rc1", "99999999999999999999.0", "unstable", "+8.2",
    ])
    func `A text that is not a version is nil`(text: String) {
        #expect(ServerVersion(text) == nil)
    }

    @Test func `Versions are ordered by number and not as text`() throws {
        let versions = try ["6.2.14", "7.0", "7.0.15", "8.2", "8.10"].map { try #require(ServerVersion($0)) }
        #expect(versions.shuffled().sorted() == versions)
    }
}
