extension RedisCommand {
    /// What a right is needed for, where the server's own text does not name it: the keys of the command, or the commands
    /// of the script.
    func deniedSubject(_ text: String) -> String? {
        let script = (self as? ScriptCall)?.script
        let subject = script.map { "The script \($0.name)" } ?? name
        if text.contains("this command or subcommand") {
            return script.map { "\(subject) uses \($0.commands.joined(separator: ", "))" }
        }
        // It names the command.
        if text.contains("permissions to run") { return script.map { "The script \($0.name) uses it" } }
        guard !keys.isEmpty else { return "\(subject) works on a key that the user has no right to" }
        let named = keys.prefix(3).map { RedisError.printable($0.rawValue.unicodeScalars.prefix(64)) }
        let others = keys.count > 3 ? " and \(keys.count - 3) more" : ""
        return "\(subject) works on \(named.joined(separator: ", "))\(others)"
    }
}

extension Script {
    /// The commands that the script calls, with their subcommands, each once. A user needs the right to all of them.
    package var commands: [String] {
        let lines = source.split(separator: "\n").filter { !$0.drop { $0 == " " }.hasPrefix("--") }
        // Behind each odd quotation mark stands a text, and a command is the first one in its brackets.
        let parts = lines.joined(separator: "\n").split(separator: "'", omittingEmptySubsequences: false)
        var commands: [String] = []
        for position in stride(from: 1, to: parts.count, by: 2) {
            let word = parts[position]
            guard parts[position - 1].last == "(" || parts[position - 1].last == "{", !word.isEmpty,
                word.utf8.allSatisfy({ (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) })
            else { continue }
            let hasSubcommand = ["XINFO", "XGROUP"].contains(word) && position + 2 < parts.count
            let command = hasSubcommand ? "\(word) \(parts[position + 2])" : String(word)
            if !commands.contains(command) { commands.append(command) }
        }
        return commands
    }
}
