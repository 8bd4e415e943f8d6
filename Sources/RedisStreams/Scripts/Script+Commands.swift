extension Script {
    /// The commands that the script calls, with their subcommands, each once. The user needs the rights to all of them.
    package var commands: [String] {
        let lines = source.split(separator: "\n").filter { !$0.drop { $0 == " " }.hasPrefix("--") }
        // A Lua string follows each odd quotation mark. A command is the first string in its parentheses or braces.
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
