internal import RedisStreams

/// `EVAL`, `EVALSHA` and `SCRIPT`, only for the scripts of the library, since there is no Lua here.
extension RedisModel {
    func eval(_ call: Call) throws(ReplyError) {
        let keyCount = try keyCount(call)
        guard let native = NativeScript.withSource(call[1]) else {
            throw ReplyError(
                "ERR InMemoryRedis runs only the scripts of swift-redis-streams itself; for others, test on a real server"
            )
        }
        knownScripts.insert(native.sha1)
        try run(native, call, keyCount)
    }

    func evalsha(_ call: Call) throws(ReplyError) {
        let keyCount = try keyCount(call)
        let sha1 = Bytes(call[1].text.lowercased())
        guard knownScripts.contains(sha1), let native = NativeScript.withSHA1(sha1) else {
            throw ReplyError(
                version == .valkey9_1
                    ? "NOSCRIPT No matching script." : "NOSCRIPT No matching script. Please use EVAL."
            )
        }
        try run(native, call, keyCount)
    }

    private func keyCount(_ call: Call) throws(ReplyError) -> Int {
        let count = try call.integer(2)
        guard count <= call.count - 3 else {
            throw ReplyError("ERR Number of keys can't be greater than number of args")
        }
        guard count >= 0 else { throw ReplyError("ERR Number of keys can't be negative") }
        return count
    }

    private func run(_ native: NativeScript, _ call: Call, _ keyCount: Int) throws(ReplyError) {
        let context = ScriptContext(
            model: self,
            call: call,
            keys: ScriptArguments(call.arguments[3..<3 + keyCount]),
            arguments: ScriptArguments(call.arguments[(3 + keyCount)...])
        )
        try native.run(context)
    }

    func script(_ call: Call) throws(ReplyError) {
        switch (call[1].uppercase.text, call.count) {
        case ("LOAD", 3):
            guard let native = NativeScript.withSource(call[2]) else {
                throw ReplyError(
                    "ERR InMemoryRedis runs only the scripts of swift-redis-streams itself; for others, test on a real server"
                )
            }
            knownScripts.insert(native.sha1)
            loadedScripts.insert(native.sha1)
            reply.bulk(native.sha1)
        case ("EXISTS", 3...):
            reply.array(call.count - 2)
            for sha1 in call.arguments.dropFirst(2) {
                reply.integer(knownScripts.contains(Bytes(sha1.text.lowercased())) ? 1 : 0)
            }
        case ("FLUSH", 2), ("FLUSH", 3):
            knownScripts = []
            loadedScripts = []
            reply.ok()
        case ("HELP", 2): help(HelpText.script(version))
        default:
            guard version.isAtLeast7_0 else { throw subcommandSyntax(call) }
            throw ReplyError(Bytes("ERR unknown subcommand '"), call[1], Bytes("'. Try SCRIPT HELP."))
        }
    }
}
