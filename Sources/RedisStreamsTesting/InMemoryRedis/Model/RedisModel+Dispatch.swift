/// The execution of commands, from arguments to reply.
extension RedisModel {
    /// Executes or queues a command. Returns the reply, which is empty if the command blocks.
    func run(_ command: [Bytes], for client: Client) -> Bytes {
        let bytes = write(for: client) {
            guard let spec = CommandTable.specs[command[0].uppercase], spec.isKnown(to: version) else {
                return refuse(unknownCommand(command), client)
            }
            if let error = spec.arityError(command, version) {
                if spec.name == "exec", client.transaction != nil { return abort(error, client) }
                return refuse(error, client)
            }
            if password != nil, !client.isAuthenticated, !spec.flags.contains(.beforeLogin) {
                return refuse(ReplyError("NOAUTH Authentication required."), client)
            }
            if let error = clusterNode?.refusal(of: command, spec, client, in: self) {
                if spec.name == "exec" { return end(client, error) }
                return refuse(error, client)
            }
            if replicatedMaster != nil, CommandTable.writes.contains(spec.name) {
                return refuse(ReplyError("READONLY You can't write against a read only replica."), client)
            }
            if client.transaction != nil, !spec.flags.contains(.notQueued) {
                client.transaction?.commands.append(command)
                return reply.simple("QUEUED")
            }
            client.lastCommand = spec.name
            execute(spec, Call(arguments: command, client: client))
        }
        if client.isAsking, !client.isWaiting, client.transaction == nil, !command[0].isWord("ASKING") {
            client.isAsking = false
        }
        return bytes
    }

    /// Returns the error reply to a request that is not executed.
    func refusal(_ error: ReplyError, for client: Client) -> Bytes {
        write(for: client) { refuse(error, client) }
    }

    /// Executes a blocked command again.
    func runRepeatedly(_ wait: Wait, for client: Client) -> Bytes {
        write(for: client) {
            guard let spec = CommandTable.specs[wait.command[0].uppercase] else { return }
            if let error = clusterNode?.refusal(of: wait.command, spec, client, in: self) { return reply.error(error) }
            var call = Call(arguments: wait.command, client: client)
            call.isRepeated = true
            execute(spec, call)
            // If it blocks again, its wait does not become longer.
            if client.isWaiting { client.wait?.deadline = wait.deadline }
        }
    }

    func execute(_ spec: CommandSpec, _ call: Call) {
        let mark = reply.mark
        do throws(ReplyError) {
            try spec.handler(self, call)
        } catch {
            reply.rewind(to: mark)
            reply.error(error)
        }
    }

    private func write(for client: Client, _ body: () -> Void) -> Bytes {
        let outer = reply
        reply = ReplyWriter(isRESP3: client.usesRESP3)
        body()
        let bytes = reply.bytes
        reply = outer
        return bytes
    }

    private func refuse(_ error: ReplyError, _ client: Client) {
        client.transaction?.isBroken = true
        reply.error(error)
    }

    /// `EXEC` with a wrong number of arguments ends the transaction all the same.
    private func abort(_ error: ReplyError, _ client: Client) {
        let reason = error.text.dropFirst(4)
        end(client, ReplyError(Bytes("EXECABORT Transaction discarded because of: "), Array(reason)))
    }

    /// Ends the transaction of a client with an error.
    private func end(_ client: Client, _ error: ReplyError) {
        client.transaction = nil
        stopWatching(client)
        reply.error(error)
    }

    private func unknownCommand(_ command: [Bytes]) -> ReplyError {
        let (open, close, separator) = version == .redis6_2 ? ("`", "`", ", ") : ("'", "'", " ")
        var text = Bytes("ERR unknown command \(open)") + command[0].prefix(128)
        text += Bytes("\(close), with args beginning with: ")
        for argument in command.dropFirst() where text.count < 128 + 60 {
            text += Bytes(open) + argument.prefix(128) + Bytes("\(close)\(separator)")
        }
        return ReplyError(text)
    }
}
