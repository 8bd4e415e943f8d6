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
        renew, acknowledge, requeue, reclaim, snapshot, publish, deregister, removeNames, rights, deadLetters, redrive, savePosition,
        probe, nextEntry, trim,
    ]
}
