extension RedisCommand {
    /// What the missing right is needed for, if the server's own text does not name it: the keys of the command, or the
    /// commands of the script.
    func deniedSubject(_ text: String) -> String? {
        let script = self as? any ScriptedCommand
        let subject = script.map { "The script \($0.scriptName)" } ?? name
        if text.contains("this command or subcommand") {
            return script.map { "\(subject) uses \($0.scriptCommands.joined(separator: ", "))" }
        }
        // The server's text already names the command.
        if text.contains("permissions to run") { return script.map { _ in "\(subject) uses it" } }
        guard !keys.isEmpty else { return "\(subject) works on a key that the user has no right to" }
        let named = keys.prefix(3).map { RedisError.printable($0.rawValue.unicodeScalars.prefix(64)) }
        let others = keys.count > 3 ? " and \(keys.count - 3) more" : ""
        return "\(subject) works on \(named.joined(separator: ", "))\(others)"
    }
}

/// A command that runs a script. The user needs the rights to all commands that the script calls.
protocol ScriptedCommand: RedisCommand {
    var scriptName: String { get }
    /// The commands that the script calls, with their subcommands.
    var scriptCommands: [String] { get }
}
