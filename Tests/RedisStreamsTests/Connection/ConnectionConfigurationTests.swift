import Testing

@testable import RedisStreams

@Suite struct ConnectionConfigurationTests {
    typealias Change = @Sendable (inout RedisConnection.Configuration) -> Void

    static let refused: [(String, Change)] = [
        ("keepAliveInterval", { $0.keepAliveInterval = .seconds(32_768) }),
        ("Timeouts", { $0.keepAliveInterval = .zero }),
        ("Timeouts", { $0.keepAliveInterval = .seconds(Int64.max) }),
        ("Timeouts", { $0.unacknowledgedTimeout = .seconds(86_401) }),
        ("Timeouts", { $0.connectTimeout = .seconds(Int64.min) }),
        ("Timeouts", { $0.commandTimeout = .seconds(Int64.max) }),
        (
            "credentialsProvider",
            {
                $0.credentialsProvider = .init { .init(password: "a") }; $0.password = "b"
            }
        ),
        (
            "credentialsProvider",
            {
                $0.credentialsProvider = .init { .init(password: "a") }; $0.username = "b"
            }
        ),
    ]

    @Test(arguments: refused)
    func `Times that the kernel would refuse are refused by name`(name: String, change: Change) {
        var configuration = RedisConnection.Configuration()
        change(&configuration)
        let refusal = error { () throws(RedisError) in try configuration.validate() }
        #expect(refusal?.code == .invalidConfiguration)
        #expect(refusal?.message.contains(name) == true)
    }

    @Test func `The longest times are accepted`() throws {
        var configuration = RedisConnection.Configuration()
        configuration.keepAliveInterval = .seconds(32_767)
        configuration.unacknowledgedTimeout = .seconds(86_400)
        try configuration.validate()
    }
}
