/// The lines that the `HELP` subcommand of a command prints.
enum HelpText {
    static func xinfo(_ version: InMemoryRedis.Version) -> [String] {
        lines(
            "XINFO",
            [
                "CONSUMERS <key> <groupname>", "    Show consumers of <groupname>.", "GROUPS <key>",
                "    Show the stream consumer groups.", "STREAM <key> [FULL [COUNT <count>]",
                "    Show information about the stream.",
            ],
            version
        )
    }

    static func xgroup(_ version: InMemoryRedis.Version) -> [String] {
        let hasCounters = version.isAtLeast7_0
        let create = [
            "CREATE <key> <groupname> <id|$> [option]", "    Create a new consumer group. Options are:",
            "    * MKSTREAM",
            "      Create the empty stream if it does not exist.",
        ]
        let counter = ["    * ENTRIESREAD entries_read", "      Set the group's entries_read counter (internal use)."]
        let consumers = [
            "CREATECONSUMER <key> <groupname> <consumer>", "    Create a new consumer in the specified group.",
            "DELCONSUMER <key> <groupname> <consumer>", "    Remove the specified consumer.",
        ]
        let rest =
            hasCounters
            ? [
                "DESTROY <key> <groupname>", "    Remove the specified group.",
                "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
                "    Set the current group ID and entries_read counter.",
            ]
            : [
                "DESTROY <key> <groupname>    Remove the specified group.", "SETID <key> <groupname> <id|$>",
                "    Set the current group ID.",
            ]
        return lines("XGROUP", create + (hasCounters ? counter : []) + consumers + rest, version)
    }

    static func config(_ version: InMemoryRedis.Version) -> [String] {
        lines(
            "CONFIG",
            [
                "GET <pattern>", "    Return parameters matching the glob-like <pattern> and their values.",
                "SET <directive> <value>", "    Set the configuration <directive> to <value>.", "RESETSTAT",
                "    Reset statistics reported by the INFO command.", "REWRITE", "    Rewrite the configuration file.",
            ],
            version
        )
    }

    /// The subcommands that exist here; real servers have more.
    static func client(_ version: InMemoryRedis.Version) -> [String] {
        let setInfo = version.isAtLeast7_2 ? ["SETINFO <option> <value>"] : []
        return lines(
            "CLIENT",
            ["GETNAME", "ID", "INFO", "KILL <option> ...", "LIST [options ...]", "NO-EVICT (ON|OFF)", "SETNAME <name>"]
                + setInfo + ["UNBLOCK <clientid> [TIMEOUT|ERROR]"],
            version
        )
    }

    static func script(_ version: InMemoryRedis.Version) -> [String] {
        lines("SCRIPT", ["EXISTS <sha1> [<sha1> ...]", "FLUSH [ASYNC|SYNC]", "LOAD <script>"], version)
    }

    private static func lines(_ name: String, _ lines: [String], _ version: InMemoryRedis.Version) -> [String] {
        ["\(name) <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"] + lines
            + ["HELP", version.isAtLeast7_2 ? "    Print this help." : "    Prints this help."]
    }
}

extension RedisModel {
    func help(_ lines: [String]) {
        reply.array(lines.count)
        for line in lines { reply.simple(line) }
    }
}
