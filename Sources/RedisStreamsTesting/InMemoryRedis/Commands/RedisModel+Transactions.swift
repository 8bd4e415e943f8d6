/// `MULTI`, `EXEC`, `DISCARD`, `WATCH` and `UNWATCH`.
extension RedisModel {
    func multi(_ call: Call) throws(ReplyError) {
        guard call.client.transaction == nil else {
            throw notInTransaction(call, "ERR MULTI calls can not be nested")
        }
        call.client.transaction = Transaction()
        reply.ok()
    }

    /// Valkey refuses such a command like any invalid one, which makes `EXEC` fail.
    private func notInTransaction(_ call: Call, _ text: String) -> ReplyError {
        guard version == .valkey9_1 else { return ReplyError(text) }
        call.client.transaction?.isBroken = true
        return ReplyError("ERR Command '\(call.client.lastCommand)' not allowed inside a transaction")
    }

    func discard(_ call: Call) throws(ReplyError) {
        guard call.client.transaction != nil else { throw ReplyError("ERR DISCARD without MULTI") }
        call.client.transaction = nil
        stopWatching(call.client)
        reply.ok()
    }

    func exec(_ call: Call) throws(ReplyError) {
        guard let transaction = call.client.transaction else { throw ReplyError("ERR EXEC without MULTI") }
        call.client.transaction = nil
        for watch in call.client.watches { _ = lookup(watch.place) }
        let isDisturbed = call.client.watches.contains { watchedChanges[$0.place] != $0.changes }
        stopWatching(call.client)
        if transaction.isBroken {
            throw ReplyError("EXECABORT Transaction discarded because of previous errors.")
        }
        if isDisturbed { return reply.nullArray() }
        reply.array(transaction.commands.count)
        for command in transaction.commands {
            guard let spec = CommandTable.specs[command[0].uppercase] else { continue }
            var inner = Call(arguments: command, client: call.client)
            inner.mayBlock = false
            execute(spec, inner)
        }
    }

    func watch(_ call: Call) throws(ReplyError) {
        if call.client.transaction != nil { throw notInTransaction(call, "ERR WATCH inside MULTI is not allowed") }
        for key in call.arguments.dropFirst() {
            let place = place(key, call)
            _ = lookup(place)
            guard !call.client.watches.contains(where: { $0.place == place }) else { continue }
            call.client.watches.append((place, watchedChanges[place, default: 0]))
            watchedChanges[place, default: 0] += 0
        }
        reply.ok()
    }

    func unwatch(_ call: Call) {
        stopWatching(call.client)
        reply.ok()
    }

    func stopWatching(_ client: Client) {
        guard !client.watches.isEmpty else { return }
        client.watches = []
        if !clients.values.contains(where: { !$0.watches.isEmpty }) { watchedChanges = [:] }
    }
}
