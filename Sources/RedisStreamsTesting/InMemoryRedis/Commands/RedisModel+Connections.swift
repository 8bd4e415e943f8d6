/// The commands on connections.
extension RedisModel {
    func ping(_ call: Call) throws(ReplyError) {
        guard call.count <= 2 else { throw .arity("ping") }
        if call.count == 2 { reply.bulk(call[1]) } else { reply.simple("PONG") }
    }

    func auth(_ call: Call) throws(ReplyError) {
        guard call.count <= 3 else { throw .syntax }
        guard password != nil else {
            if call.count == 3 { throw Self.wrongPassword }
            throw ReplyError(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
                    + "configuration is correct?"
            )
        }
        try logIn(call.client, user: call.count == 3 ? call[1] : Bytes("default"), call[call.count - 1])
        reply.ok()
    }

    private func logIn(_ client: Client, user: Bytes, _ password: Bytes) throws(ReplyError) {
        guard user == Bytes("default"), password == self.password else { throw Self.wrongPassword }
        client.isAuthenticated = true
    }

    private static let loginMissing = ReplyError(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> "
            + "option can be used to authenticate the client and select the RESP protocol version at the same time"
    )
    private static let wrongPassword = ReplyError("WRONGPASS invalid username-password pair or user is disabled.")

    func hello(_ call: Call) throws(ReplyError) {
        var usesRESP3 = call.client.usesRESP3
        if call.count > 1 {
            let error = ReplyError("ERR Protocol version is not an integer or out of range")
            let version = try call.integer(1, or: error)
            guard version == 2 || version == 3 else { throw ReplyError("NOPROTO unsupported protocol version") }
            usesRESP3 = version == 3
        }
        var position = 2
        while position < call.count {
            if call.isWord(position, "AUTH"), call.following(position) > 1 {
                try logIn(call.client, user: call[position + 1], call[position + 2])
                position += 3
            } else if call.isWord(position, "SETNAME"), call.following(position) > 0 {
                call.client.name = call[position + 1]
                position += 2
            } else {
                throw ReplyError(Bytes("ERR Syntax error in HELLO option '"), call[position], Bytes("'"))
            }
        }
        if password != nil, !call.client.isAuthenticated { throw Self.loginMissing }
        call.client.usesRESP3 = usesRESP3
        reply.isRESP3 = usesRESP3
        greet(call.client)
    }

    private func greet(_ client: Client) {
        reply.map(7)
        for (name, value) in [
            ("server", version == .valkey9_1 ? "valkey" : "redis"), ("version", version.number),
        ] {
            reply.bulk(name)
            reply.bulk(value)
        }
        reply.bulk("proto")
        reply.integer(client.usesRESP3 ? 3 : 2)
        reply.bulk("id")
        reply.integer(client.number)
        let role = clusterNode?.master == nil ? "master" : "replica"
        for (name, value) in [("mode", mode), ("role", role)] {
            reply.bulk(name)
            reply.bulk(value)
        }
        reply.bulk("modules")
        reply.array(0)
    }

    func quit(_ call: Call) {
        reply.ok()
        call.client.closesAfterReply = true
    }

    func reset(_ call: Call) {
        let client = call.client
        client.transaction = nil
        stopWatching(client)
        client.database = 0
        client.name = []
        client.usesRESP3 = false
        client.isAuthenticated = false
        client.isAsking = false
        reply.simple("RESET")
    }

    func select(_ call: Call) throws(ReplyError) {
        let index = try call.integer(1)
        if clusterNode != nil, index != 0, version != .valkey9_1 {
            throw ReplyError("ERR SELECT is not allowed in cluster mode")
        }
        guard clusterNode == nil || index == 0, databases.indices.contains(index) else {
            throw ReplyError("ERR DB index is out of range")
        }
        call.client.database = index
        reply.ok()
    }

    // MARK: CLIENT

    func client(_ call: Call) throws(ReplyError) {
        switch (call[1].uppercase.text, call.count) {
        case ("ID", 2): reply.integer(call.client.number)
        case ("GETNAME", 2): if call.client.name.isEmpty { reply.null() } else { reply.bulk(call.client.name) }
        case ("SETNAME", 3): try setName(call)
        case ("SETINFO", 4) where version.isAtLeast7_2: reply.ok()
        case ("NO-EVICT", 3), ("NO-TOUCH", 3): reply.ok()
        case ("KILL", 3...): try kill(call)
        case ("UNBLOCK", 3), ("UNBLOCK", 4): try unblock(call)
        case ("LIST", _): reply.bulk(list(try listed(call).sorted { $0.connection < $1.connection }))
        case ("INFO", 2): reply.bulk(list([call.client]))
        case ("HELP", 2): help(HelpText.client(version))
        default:
            guard version.isAtLeast7_0 else { throw subcommandSyntax(call) }
            throw ReplyError(Bytes("ERR unknown subcommand '"), call[1], Bytes("'. Try CLIENT HELP."))
        }
    }

    private func setName(_ call: Call) throws(ReplyError) {
        guard call[2].allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw ReplyError("ERR Client names cannot contain spaces, newlines or special characters.")
        }
        call.client.name = call[2]
        reply.ok()
    }

    private static let invalidClientID = ReplyError("ERR client-id should be greater than 0")

    /// `CLIENT KILL` with an address, its old form, or with conditions that all have to hold.
    private func kill(_ call: Call) throws(ReplyError) {
        if call.count == 3 {
            guard let found = clients.values.first(where: { Bytes($0.address) == call[2] }) else {
                throw ReplyError("ERR No such client")
            }
            kill([found], from: call)
            return reply.ok()
        }
        guard call.count % 2 == 0 else { throw .syntax }
        var (number, address, skipsCaller): (Int?, Bytes?, Bool) = (nil, nil, true)
        for position in stride(from: 2, to: call.count, by: 2) {
            if call.isWord(position, "ID") {
                let error = version.isAtLeast7_0 ? Self.invalidClientID : .notAnInteger
                number = try call.integer(position + 1, or: error)
                if number ?? 0 < 1 { throw error }
            } else if call.isWord(position, "ADDR") {
                address = call[position + 1]
            } else if call.isWord(position, "SKIPME") {
                skipsCaller = call.isWord(position + 1, "YES")
            } else if call.isWord(position, "TYPE") {
                guard call.isWord(position + 1, "NORMAL") else {
                    throw ReplyError(Bytes("ERR Unknown client type '"), call[position + 1], Bytes("'"))
                }
            } else {
                throw .syntax
            }
        }
        let found = clients.values.filter { client in
            (number == nil || client.number == number) && (address == nil || Bytes(client.address) == address)
                && !(skipsCaller && client === call.client)
        }
        kill(found.sorted { $0.connection < $1.connection }, from: call)
        reply.integer(found.count)
    }

    private func kill(_ victims: [Client], from call: Call) {
        for victim in victims {
            if victim === call.client { victim.closesAfterReply = true } else { close(victim) }
        }
    }

    private func unblock(_ call: Call) throws(ReplyError) {
        let number = try call.integer(2)
        var isError = false
        if call.count == 4 {
            isError = call.isWord(3, "ERROR")
            guard isError || call.isWord(3, "TIMEOUT") else {
                throw ReplyError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
            }
        }
        guard let client = clients.values.first(where: { $0.number == number }), client.isWaiting else {
            return reply.integer(0)
        }
        if !isError, endReplicaWait(of: client) { return reply.integer(1) }
        release(client) { writer in
            if isError {
                writer.error(ReplyError("UNBLOCKED client unblocked via CLIENT UNBLOCK"))
            } else {
                writer.nullArray()
            }
        }
        reply.integer(1)
    }

    /// Returns all clients, or those with the ids in the arguments.
    private func listed(_ call: Call) throws(ReplyError) -> [Client] {
        guard call.count > 3, call.isWord(2, "ID") else { return Array(clients.values) }
        var numbers: Set<Int> = []
        for position in 3..<call.count { numbers.insert(try call.integer(position, or: Self.invalidClientID)) }
        return clients.values.filter { numbers.contains($0.number) }
    }

    private func list(_ clients: [Client]) -> String {
        clients.map { client in
            let age = (time.monotonic - client.since.monotonic) / 1000
            let queued = client.transaction.map { $0.commands.count } ?? -1
            return "id=\(client.number) addr=\(client.address) laddr=127.0.0.1:\(port) fd=\(client.number + 7) "
                + "name=\(client.name.text) age=\(age) idle=0 flags=\(client.isWaiting ? "b" : "N") "
                + "db=\(client.database) sub=0 psub=0 multi=\(queued) cmd=\(client.lastCommand) user=default "
                + "resp=2\n"
        }.joined()
    }
}

extension RedisModel.Client {
    fileprivate var address: String { connection.address }
}
