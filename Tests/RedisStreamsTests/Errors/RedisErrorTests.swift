import Testing

@testable import RedisStreams

@Suite struct RedisErrorTests {
    /// Wordings of 6.2.14, 7.0.15, 8.2.3 and Valkey 9.1.2.
    static let wordings: [(String, RedisError.Code)] = [
        ("NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option", .noGroup),
        ("NOGROUP No such consumer group 'g' for key name 's'", .noGroup),
        ("NOGROUP the consumer group this client was blocked on no longer exists", .noGroup),
        ("BUSYGROUP Consumer Group name already exists", .groupExists),
        ("UNBLOCKED the stream key no longer exists", .unblocked),
        ("UNBLOCKED client unblocked via CLIENT UNBLOCK", .unblocked),
        ("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", .unblocked),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", .wrongType),
        ("LOADING Redis is loading the dataset in memory", .loading),
        ("LOADING Valkey is loading the dataset in memory", .loading),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", .busy),
        ("BUSY Valkey is busy running a script.", .busy),
        ("OOM command not allowed when used memory > 'maxmemory'.", .outOfMemory),
        ("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist", .misconfigured),
        ("NOREPLICAS Not enough good replicas to write.", .noReplicas),
        ("READONLY You can't write against a read only replica.", .readOnly),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", .masterDown),
        ("TRYAGAIN Multiple keys request during rehashing of slot", .clusterUnavailable),
        ("CLUSTERDOWN The cluster is down", .clusterUnavailable),
        ("CLUSTERDOWN Hash slot not served", .clusterUnavailable),
        ("MOVED 3828 127.0.0.1:7001", .redirected), ("ASK 3828 127.0.0.1:7001", .redirected),
        ("CROSSSLOT Keys in request don't hash to the same slot", .crossSlot),
        ("EXECABORT Transaction discarded because of previous errors.", .transactionAborted),
        ("NOSCRIPT No matching script. Please use EVAL.", .noScript),
        ("NOAUTH Authentication required.", .authenticationFailed),
        ("WRONGPASS invalid username-password pair or user is disabled.", .authenticationFailed),
        ("NOPERM this user has no permissions to run the 'xadd' command", .permissionDenied),
        ("NOPERM User bob has no permissions to run the 'xadd' command", .permissionDenied),
        ("NOPERM No permissions to access a key", .permissionDenied),
        ("ERR max number of clients reached", .tooManyClients),
        ("ERR no such key", .serverError), ("ERR syntax error", .serverError), ("", .serverError), (" ", .serverError),
        ("NOGROUPS are not groups", .serverError), ("noauth", .serverError), ("SOMETHINGNEW x", .serverError),
    ]

    @Test(arguments: wordings)
    func `The first word of a server error determines its code`(text: String, code: RedisError.Code) {
        let error = RedisError(serverText: text, command: "XADD")
        #expect(error.code == code)
        #expect(error.serverCode == String(text.prefix { $0 != " " }))
        #expect(error.command == "XADD")
        #expect(!error.mayHaveExecuted)
    }

    @Test(
        arguments: [
            // 6.2.14
            ("@user_script: 2: -NOREPLICAS Not enough good replicas to write.", .noReplicas),
            (
                "ERR Error running script (call to f_962a): @user_script:2: @user_script: 2: -OOM command not allowed.",
                .outOfMemory
            ),
            ("ERR Error running script (call to f_962a): @user_script:1: NOGROUP No such key 's'", .noGroup),
            // 7.0 and later
            ("NOREPLICAS Not enough good replicas to write. script: 962a, on @user_script:2.", .noReplicas),
            ("OOM command not allowed when used memory > 'maxmemory'. script: on @user_script:1.", .outOfMemory),
            ("@user_script: 2: ", .serverError), ("@user_script: 2", .serverError), ("-OOM", .serverError),
        ] as [(String, RedisError.Code)]
    )
    func `The first word of the error of a command in a script determines its code`(text: String, code: RedisError.Code)
    {
        #expect(RedisError(serverText: text, command: "EVALSHA").code == code)
    }

    @Test(arguments: [
        "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 'hunter2'",
        "ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `hunter2`, ",
        "ERR unknown command 'XACKDEL', with args beginning with: 'hunter2'\r\n'x'",
    ])
    func `Errors leave out arguments that a server repeats`(text: String) {
        let error = RedisError(serverText: text, command: nil)
        #expect(!error.description.contains("hunter2"))
        #expect(error.message.hasPrefix("ERR unknown command"))
    }

    @Test(arguments: ["AUTH", "auth", "HELLO", "ACL SETUSER", "CONFIG SET", "MIGRATE"])
    func `For a command with secrets, only the first word of an error is kept`(command: String) {
        let error = RedisError(serverText: "ERR something about hunter2", command: command)
        #expect(!error.description.contains("hunter2"))
        #expect(error.serverCode == "ERR")
    }

    @Test func `Messages have no control characters and a limited length`() {
        let error = RedisError(
            serverText: "ERR a\nb\u{7}c\u{1b}[31m" + String(repeating: "x", count: 10_000),
            command: nil
        )
        #expect(error.message.hasPrefix("ERR a?b?c?[31m"))
        #expect(error.message.utf8.count < 400)
        let word = RedisError(serverText: String(repeating: "y", count: 10_000), command: nil)
        #expect((word.serverCode?.utf8.count ?? 0) <= 32)
    }

    @Test func `Only the beginning of a long text is read`() {
        let text = "ERR " + String(repeating: "x", count: 60_000)
        #expect(RedisError(serverText: text + " max number of clients", command: nil).code == .serverError)
        #expect(RedisError(serverText: "@user_script:" + text, command: nil).message.utf8.count < 400)
    }

    @Test(arguments: [
        "WRONGPASS hunter2 is not the password", "hunter2", "hunter2hunter2 x hunter2", "MOVED 1 hunter2:6379",
        "ERR Error running script (call to f_1): @user_script:1: -READONLY hunter2",
        "ERR " + String(repeating: "x", count: 280) + "hunter2",
        "ERR " + String(repeating: "x", count: 293) + "hunter2",
        "ERR " + String(repeating: "é", count: 251) + " hunter2", String(repeating: "hunter2", count: 80),
    ])
    func `A known secret is in no part of an error`(text: String) {
        let error = RedisError(serverText: text, command: "XADD", secret: "hunter2")
        #expect(!String(reflecting: error).contains("hunter"))
        #expect(!(error.serverCode ?? "").contains("hunter"))
        #expect(error.code == RedisError(serverText: text, command: "XADD").code)
    }

    @Test func `A secret that is a word of Redis does not hide the code of the error`() {
        let error = RedisError(serverText: "READONLY You can't write", command: "XADD", secret: "READONLY")
        #expect(error.code == .readOnly)
        #expect(error.serverCode == "READONLY")
        #expect(RedisError(serverText: "ERR no such key", command: nil, secret: "ERR").serverCode == "ERR")
        #expect(RedisError(serverText: "ERR no such key", command: nil, secret: "").message == "ERR no such key")
    }

    @Test func `Errors that can pass without any change are retriable`() {
        let retriable = [
            "LOADING x", "BUSY x", "OOM x", "MISCONF x", "READONLY x", "MASTERDOWN x", "TRYAGAIN x", "UNBLOCKED x",
        ]
        for text in retriable { #expect(RedisError(serverText: text, command: nil).isRetriable, "\(text)") }
        for text in ["WRONGTYPE x", "NOPERM x", "WRONGPASS x", "ERR x", "NOGROUP x", "CROSSSLOT x"] {
            #expect(!RedisError(serverText: text, command: nil).isRetriable, "\(text)")
        }
    }
}
