/// A call of a script by its SHA-1, or with its text if the server does not know the script yet.
struct ScriptCall: ScriptedCommand {
    static let name = "EVALSHA"

    let script: Script
    let keys: [StreamKey]
    private let arguments: [FieldValue]
    /// Whether the call sends the text.
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

    var scriptName: String { script.name }

    var scriptCommands: [String] { script.commands }

    func encode(into encoder: inout CommandEncoder) {
        if isWhole {
            EVAL(script.source, keys: keys, arguments: arguments).encode(into: &encoder)
        } else {
            EVALSHA(script.sha1, keys: keys, arguments: arguments).encode(into: &encoder)
        }
    }

    func decode(_ reply: RedisReply) throws(RedisError) -> RedisReply { reply }
}
