import Testing

@testable import RedisStreams

/// The replies of the four servers to a user who lacks a right.
@Suite struct PermissionTests {
    /// An error text, the command that was sent, and the words that the message must contain.
    struct Refusal: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let refusal: RedisError?
        let names: [String]

        init(_ text: String, of command: some RedisCommand, names: String...) {
            testDescription = text
            let reply = reply("-\(text)\r\n")
            refusal = error { () throws(RedisError) in _ = try command.response(to: reply) }
            self.names = names
        }
    }

    static let trim = GroupTrim().call(on: "orders")
    static let script = "b4d0d3d0"

    static let commands: [Refusal] = [
        Refusal(
            "NOPERM this user has no permissions to run the 'xadd' command or its subcommand",
            of: XADD("orders", ["f": "v"]),
            names: "'xadd'"
        ),
        Refusal(
            "NOPERM this user has no permissions to run the 'xinfo|stream' command",
            of: XINFO.STREAM("orders"),
            names: "'xinfo|stream'"
        ),
        Refusal(
            "NOPERM User ann has no permissions to run the 'client|kill' command",
            of: CLIENT.KILL(id: 7),
            names: "'client|kill'"
        ),
    ]

    static let keys: [Refusal] = [
        "NOPERM this user has no permissions to access one of the keys used as arguments",
        "NOPERM No permissions to access a key",
    ].flatMap { text in
        [
            Refusal(text, of: XADD("orders", ["f": "v"]), names: "XADD", "orders"),
            Refusal(
                text,
                of: XREAD([StreamOffset("orders"), StreamOffset("audit")]),
                names: "XREAD",
                "orders",
                "audit"
            ),
            Refusal(
                text,
                of: ScriptCall(.savePosition, keys: ["{orders}:position:audit"], arguments: []),
                names: "savePosition",
                "{orders}:position:audit"
            ),
            Refusal(text, of: DEL((1...9).map { StreamKey("k\($0)") }), names: "k1", "k3", "6 more"),
            Refusal(text, of: XLEN("line\u{a}break"), names: "line?break"),
            Refusal(text, of: RawCommand("LLEN", "jobs"), names: "LLEN"),
        ]
    }

    /// Texts of 6.2, of 7.0, and of 8.2 with Valkey 9.1, as `redis.call` throws them and as `redis.pcall` returns them.
    static let scripts: [Refusal] = [
        Refusal(
            "ERR Error running script (call to f_\(script)): @user_script:1: @user_script: 1: "
                + "The user executing the script can't run this command or subcommand",
            of: trim,
            names: "trim",
            "XTRIM",
            "XINFO",
            "XPENDING"
        ),
        Refusal(
            "@user_script: 1: The user executing the script can't run this command or subcommand",
            of: trim,
            names: "trim",
            "XTRIM"
        ),
        Refusal(
            "ERR The user executing the script can't run this command or subcommand script: \(script), "
                + "on @user_script:1.",
            of: trim,
            names: "trim",
            "XTRIM"
        ),
        Refusal("ERR The user executing the script can't run this command or subcommand", of: trim, names: "XTRIM"),
        Refusal(
            "ERR ACL failure in script: User u has no permissions to run the 'xtrim' command script: \(script), "
                + "on @user_script:1.",
            of: trim,
            names: "'xtrim'",
            "trim"
        ),
        Refusal(
            "ERR ACL failure in script: User u has no permissions to run the 'xinfo|groups' command",
            of: trim,
            names: "'xinfo|groups'"
        ),
        Refusal(
            "ERR Error running script (call to f_\(script)): @user_script:1: @user_script: 1: "
                + "The user executing the script can't access at least one of the keys mentioned in the command arguments",
            of: trim,
            names: "orders"
        ),
        Refusal(
            "ERR The user executing the script can't access at least one of the keys mentioned in the command "
                + "arguments script: \(script), on @user_script:1.",
            of: trim,
            names: "orders"
        ),
        Refusal(
            "ERR ACL failure in script: No permissions to access a key script: on @user_script:1.",
            of: trim,
            names: "orders"
        ),
        Refusal("ERR ACL failure in script: No permissions to access a key", of: EVAL("return 1"), names: "EVAL"),
    ]

    @Test(arguments: commands + keys + scripts)
    func `The error for a missing right says what the right is needed for`(refusal: Refusal) {
        #expect(refusal.refusal?.code == .permissionDenied)
        #expect(refusal.refusal?.serverCode == "NOPERM")
        for name in refusal.names { #expect(refusal.refusal?.message.contains(name) == true, "\(name)") }
        #expect(refusal.refusal?.message.contains("ACL SETUSER") == true)
        #expect(refusal.refusal?.message.contains("\n") == false)
    }

    @Test(arguments: ["ERR no such key", "WRONGTYPE x", "ERR User said: ACL failure"])
    func `Errors that are not about rights do not name keys`(text: String) {
        let refusal = Refusal(text, of: XLEN("orders"))
        #expect(refusal.refusal?.code != .permissionDenied)
        #expect(refusal.refusal?.message.contains("orders") == false)
    }

    @Test func `An error cuts long keys`() {
        let refusal = Refusal(
            "NOPERM No permissions to access a key",
            of: XLEN(StreamKey(String(repeating: "k", count: 9999)))
        )
        #expect((refusal.refusal?.message.utf8.count ?? .max) < 500)
    }
}
