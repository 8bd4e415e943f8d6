/// A Lua script that the server runs as one atomic step, known to it by its SHA-1.
///
/// Scripts are constants: what varies comes in as keys and arguments. `KEYS[1]` is the stream, and the first two arguments
/// are group and consumer, unless the script says otherwise. An error of a command inside comes back as that command's own
/// error, so that its first word is the same on every server.
package struct Script: Sendable {
    /// What the script does, for errors and logs.
    package let name: String
    /// The text, in Lua.
    package let source: String
    /// The SHA-1 of the text, as 40 hexadecimal digits.
    package let sha1: String

    init(_ name: String, _ source: String) {
        self.name = name
        self.source = source
        sha1 = SHA1.hexadecimal(of: source)
    }

    /// A function in Lua that makes a table of a reply of names and values in turn.
    static let namedValues = """
        local function named(reply)
            local values = {}
            for i = 1, #reply, 2 do values[reply[i]] = reply[i + 1] end
            return values
        end

        """

    /// All scripts that this library sends.
    package static let all = [
        renew, acknowledge, setAside, take, look, emit, leave, removeNames, rights, deadLetters, redrive, savePosition,
        probe, nextEntry, trim,
    ]
}

/// A call of a script: by its SHA-1, or with its text for a server that does not know it yet.
struct ScriptCall: RedisCommand {
    static let name = "EVALSHA"

    let script: Script
    let keys: [StreamKey]
    private let arguments: [FieldValue]
    /// Whether the text is sent.
    private var isWhole = false

    init(_ script: Script, keys: [StreamKey], arguments: [FieldValue]) {
        self.script = script
        self.keys = keys
        self.arguments = arguments
    }

    /// The call for a server that does not know the script.
    var whole: ScriptCall {
        var call = self
        call.isWhole = true
        return call
    }

    func encode(into encoder: inout CommandEncoder) {
        if isWhole {
            EVAL(script.source, keys: keys, arguments: arguments).encode(into: &encoder)
        } else {
            EVALSHA(script.sha1, keys: keys, arguments: arguments).encode(into: &encoder)
        }
    }

    func decode(_ reply: RedisReply) throws(RedisError) -> RedisReply { reply }
}

extension RedisConnection {
    /// Lets a call stand in line, as `begin(_:then:)` does for any command, and calls `handle` with what the script has
    /// returned. A server that does not know the script is sent its text.
    nonisolated func begin(
        _ call: ScriptCall,
        returning handle: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) {
        let sendWhole = { @Sendable in
            let whole = call.whole
            self.begin(whole, then: { handle(whole.result(of: $0)) })
        }
        begin(
            call,
            then: { outcome in
                let result = call.result(of: outcome)
                guard case .failure(let error) = result, error.code == .noScript else { return handle(result) }
                sendWhole()
            }
        )
    }
}

extension RedisCommandExecutor {
    /// Runs a script, which is sent with its text if the server does not know it.
    func run(_ call: ScriptCall) async throws(RedisError) -> RedisReply {
        do throws(RedisError) {
            return try await execute(call)
        } catch {
            guard error.code == .noScript else { throw error }
            return try await execute(call.whole)
        }
    }
}
