/// The commands about the server.
extension RedisModel {
    func info(_ call: Call) {
        let asked = call.arguments.dropFirst().map { $0.uppercase.text }
        let isAll = asked.isEmpty || asked.contains { ["ALL", "DEFAULT", "EVERYTHING"].contains($0) }
        let sections = infoSections.filter { isAll || asked.contains($0.name.uppercased()) }
        let text = sections.map { section in
            "# \(section.name)\r\n" + section.values.map { "\($0.0):\($0.1)\r\n" }.joined()
        }
        reply.bulk(text.joined(separator: "\r\n"))
    }

    private var infoSections: [(name: String, values: [(String, String)])] {
        let uptime = (time.monotonic - (startTime ?? time).monotonic) / 1000
        var server = [("redis_version", version.redisNumber)]
        if version == .valkey9_1 {
            server += [("server_name", "valkey"), ("valkey_version", version.number)]
        }
        server += [
            ("redis_mode", mode), ("process_id", "1"), ("tcp_port", "\(port)"),
            ("server_time_usec", "\(time.wall)000"), ("uptime_in_seconds", "\(uptime)"),
        ]
        let keyspace = databases.enumerated().filter { !$0.element.isEmpty }.map { index, database in
            ("db\(index)", "keys=\(database.slots.count),expires=\(database.expiringKeys.count),avg_ttl=0")
        }
        let blocked = clients.values.count { $0.isWaiting }
        return [
            ("Server", server),
            ("Clients", [("connected_clients", "\(clients.count)"), ("blocked_clients", "\(blocked)")]),
            ("Memory", [("used_memory", "1000000"), ("maxmemory", settings["maxmemory"]?.text ?? "0")]),
            ("Persistence", [("loading", "0"), ("aof_enabled", "0")]),
            ("Replication", [("role", role), ("connected_slaves", "0"), ("master_repl_offset", "0")]),
            ("Cluster", [("cluster_enabled", clusterNode == nil ? "0" : "1")]),
            ("Keyspace", keyspace),
        ]
    }

    func time(_ call: Call) {
        reply.array(2)
        reply.bulk(number: time.wall / 1000)
        reply.bulk(number: time.wall % 1000 * 1000)
    }

    /// Whether the server is alone or a node of a cluster, as `INFO` and `HELLO` name it.
    var mode: String { clusterNode == nil ? "standalone" : "cluster" }

    private var role: String { clusterNode?.master == nil && replicatedMaster == nil ? "master" : "slave" }

    func role(_ call: Call) {
        if let master = clusterNode?.master.map({ (host: $0.ip, port: $0.port) }) ?? replicatedMaster {
            reply.array(5)
            reply.bulk("slave")
            reply.bulk(master.host)
            reply.integer(master.port)
            reply.bulk("connected")
            return reply.integer(0)
        }
        reply.array(3)
        reply.bulk("master")
        reply.integer(0)
        reply.array(0)
    }

    func command(_ call: Call) {
        if call.count == 2, call.isWord(1, "COUNT") { return reply.integer(CommandTable.specs.count) }
        reply.array(0)
    }

    func config(_ call: Call) throws(ReplyError) {
        switch (call[1].uppercase.text, call.count) {
        case ("GET", 3...):
            let patterns = call.arguments.dropFirst(2).map { $0.text.lowercased() }
            let found = settings.values.filter { setting in
                patterns.contains { $0 == setting.name || $0.hasSuffix("*") && setting.name.hasPrefix($0.dropLast()) }
            }
            reply.map(found.count)
            for setting in found {
                reply.bulk(setting.name)
                reply.bulk(setting.value)
            }
        case ("SET", 4): try setConfig(call)
        case ("SET", 5...) where version.isAtLeast7_0: try setConfig(call)
        case ("RESETSTAT", 2), ("REWRITE", 2): reply.ok()
        case ("HELP", 2): help(HelpText.config(version))
        default: throw subcommandSyntax(call)
        }
    }

    /// Sets all of the given settings, or none.
    private func setConfig(_ call: Call) throws(ReplyError) {
        guard call.count % 2 == 0 else { throw .syntax }
        var changed = settings
        var names: Set<String> = []
        for position in stride(from: 2, to: call.count, by: 2) {
            let name = call[position].text.lowercased()
            // Redis 6.2 has another error text, and does not list settings that cannot be changed.
            guard settings[name] != nil, version.isAtLeast7_0 || name != "databases" else {
                throw version.isAtLeast7_0
                    ? ReplyError(
                        Bytes("ERR Unknown option or number of arguments for CONFIG SET - '"),
                        call[position],
                        Bytes("'")
                    )
                    : ReplyError(Bytes("ERR Unsupported CONFIG parameter: "), call[position])
            }
            let isNew = names.insert(name).inserted
            guard let fault = isNew ? changed.set(name, to: call[position + 1]) : "duplicate parameter" else {
                continue
            }
            throw version.isAtLeast7_0
                ? ReplyError("ERR CONFIG SET failed (possibly related to argument '\(name)') - \(fault)")
                : ReplyError(
                    Bytes("ERR Invalid argument '"),
                    call[position + 1],
                    Bytes("' for CONFIG SET '\(name)' - \(fault)")
                )
        }
        settings = changed
        reply.ok()
    }
}
