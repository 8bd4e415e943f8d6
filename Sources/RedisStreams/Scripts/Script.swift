/// A Lua script that the server runs as one atomic step, and that it identifies by its SHA-1.
///
/// The text of a script is constant: everything that varies is a key or an argument. Unless the script says otherwise,
/// `KEYS[1]` is the stream, and the first two arguments are the group and the consumer. A script returns the error of a
/// command inside it unchanged, so that the first word of the error is the same on every server.
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

    /// A Lua function that turns a reply of alternating names and values into a table.
    static let namedValues = """
        local function named(reply)
            local values = {}
            for i = 1, #reply, 2 do values[reply[i]] = reply[i + 1] end
            return values
        end

        """

    /// All scripts that this library sends.
    package static let all = [
        renew, acknowledge, requeue, reclaim, snapshot, publish, deregister, removeNames, rights, deadLetters, redrive,
        savePosition, probe, nextEntry, trim,
    ]
}
