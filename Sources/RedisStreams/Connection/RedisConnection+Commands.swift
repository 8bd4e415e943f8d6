extension RedisConnection {
    /// Sends one command and waits for its reply.
    ///
    /// A command that blocks (`XREAD … BLOCK`) holds back every other command of this connection. When its task is
    /// cancelled, the connection is closed, since there is no other way to end the wait on the server at once.
    public nonisolated func execute<Command: RedisCommand>(
        _ command: Command
    ) async throws(RedisError) -> Command.Response {
        try command.validate()
        return try await executeChecked(command)
    }

    /// Sends a command that was checked already.
    nonisolated func executeChecked<Command: RedisCommand>(
        _ command: Command
    ) async throws(RedisError) -> Command.Response {
        let outcome: PendingReplies.Outcome
        if command.blockingTime == nil, !configuration.asks {
            outcome = await roundTrip(command.name, try command.encoded())
        } else {
            outcome = await sendTogether(count: 1, blocks: command.blockingTime != nil) { $0.write(command) }[0]
        }
        do throws(RedisError) {
            return try command.response(to: outcome.get())
        } catch {
            throw await explain(error, of: command)
        }
    }

    /// Sends commands of several types in one piece and waits for all their replies.
    ///
    /// They are executed in order, but not as one: commands of others may come between them, and one that fails does
    /// not keep the next ones from being executed.
    ///
    /// ```swift
    /// let (acknowledged, length) = await connection.pipeline(XACK("orders", "billing", ids), XLEN("orders"))
    /// ```
    ///
    /// - Returns: A result for each command. Nothing is thrown.
    public nonisolated func pipeline<each Command: RedisCommand>(
        _ command: repeat each Command
    ) async -> (repeat Result<(each Command).Response, RedisError>) {
        let batch = CommandBatch(repeat each command)
        let outcomes = await sendTogether(batch)
        let server = await server(behind: outcomes, of: batch)
        var next = 0
        func outcome<C: RedisCommand>(_ command: C) -> Result<C.Response, RedisError> {
            defer { next += 1 }
            return command.result(of: outcomes[next], on: server)
        }
        return (repeat outcome(each command))
    }

    /// Sends any number of commands of one type in one piece and waits for all their replies.
    ///
    /// - Returns: A result for each command, in order. Nothing is thrown.
    public nonisolated func pipeline<Command: RedisCommand>(
        _ commands: [Command]
    ) async -> [Result<Command.Response, RedisError>] {
        let batch = CommandBatch(commands)
        let outcomes = await sendTogether(batch)
        let server = await server(behind: outcomes, of: batch)
        return zip(commands, outcomes).map { command, outcome in command.result(of: outcome, on: server) }
    }

    /// Executes commands as a transaction: all of them with nothing between, or none (`MULTI`, `EXEC`).
    ///
    /// A command that fails while it is executed does not undo the others: look at each result.
    /// Source: [Transactions](https://redis.io/docs/latest/develop/using-commands/transactions/).
    ///
    /// - Throws: ``RedisError``, when the transaction as a whole was refused or its outcome is unknown.
    public nonisolated func transaction<each Command: RedisCommand>(
        _ command: repeat each Command
    ) async throws(RedisError) -> (repeat Result<(each Command).Response, RedisError>) {
        let batch = CommandBatch(repeat each command)
        let outcomes = try await executeTransaction(batch).map { PendingReplies.Outcome.success($0) }
        let server = await server(behind: outcomes, of: batch)
        var next = 0
        func outcome<C: RedisCommand>(_ command: C) -> Result<C.Response, RedisError> {
            defer { next += 1 }
            return command.result(of: outcomes[next], on: server)
        }
        return (repeat outcome(each command))
    }

    /// The replies within that of `EXEC`.
    private nonisolated func executeTransaction(_ batch: CommandBatch) async throws(RedisError) -> [RedisReply] {
        if let error = batch.invalid { throw error }
        guard !batch.blocks else {
            throw RedisError(.invalidArgument, "A command does not block inside a transaction: leave BLOCK out.")
        }
        let outcomes = await sendTogether(count: batch.count + 2, blocks: false) { writer in
            writer.write(RawCommand("MULTI"))
            batch.write(&writer)
            writer.write(RawCommand("EXEC"))
        }
        let exec = try outcomes[batch.count + 1].get()
        if let error = exec.serverError(command: "EXEC") {
            // The server gave its reason when it refused to queue the command.
            if let reason = try outcomes[0].get().serverError(command: "MULTI") { throw reason }
            let queued = Array(outcomes[1...batch.count])
            let server = await server(behind: queued, of: batch)
            for (command, outcome) in zip(batch.commands, queued) {
                if let reason = try command.serverError(in: outcome, on: server) { throw reason }
            }
            throw error
        }
        guard let replies = exec.array, replies.count == batch.count else {
            throw RedisError(.transactionAborted, "The transaction was not executed: a watched key had changed.")
        }
        return Array(replies)
    }

    // MARK: Round trips

    private nonisolated func sendTogether(_ batch: CommandBatch) async -> [PendingReplies.Outcome] {
        if let error = batch.invalid { return Array(repeating: .failure(error), count: batch.count) }
        return await sendTogether(count: batch.count, blocks: batch.blocks, batch.write)
    }

    /// Sends, and waits for the replies. Cancelling a wait that blocks on the server ends the connection.
    nonisolated func sendTogether(
        count: Int,
        blocks: Bool,
        _ write: (inout CommandWriter) -> Void
    ) async -> [PendingReplies.Outcome] {
        guard count > 0 else { return [] }
        let replies = enqueue(count: count, write)
        let outcomes = await replies.outcomes(onCancel: { if blocks { self.close() } })
        // On the event loop this closes at once, before the pool can give the connection to another caller.
        if blocks, replies.isAbandoned { close() }
        return outcomes
    }

    /// Executes a command, and waits for its reply also when the task is cancelled.
    nonisolated func executeToTheEnd<Command: RedisCommand>(
        _ command: Command
    ) async -> Result<Command.Response, RedisError> {
        let outcomes = await enqueue(count: 1) { $0.write(command) }.outcomesInAnyCase()
        return command.result(of: outcomes[0])
    }

    /// Replaces an error by one that says that the server is too old, if that is the reason.
    private nonisolated func explain(_ error: RedisError, of command: some RedisCommand) async -> RedisError {
        guard error.mayComeFromOldServer, command.requirement != nil else { return error }
        return command.explain(error, on: try? await execute(INFO(section: "server")))
    }

    /// Asks the server for its version, if one of the commands may have failed because it is too old.
    private nonisolated func server(
        behind outcomes: [PendingReplies.Outcome],
        of batch: CommandBatch
    ) async -> ServerInfo? {
        let isSuspect = zip(batch.commands, outcomes).contains { command, outcome in
            guard let error = try? outcome.get().error else { return false }
            return error.mayComeFromOldServer && command.requirement != nil
        }
        return isSuspect ? try? await execute(INFO(section: "server")) : nil
    }
}

/// Commands of any types, checked, which the connection sends in one piece.
struct CommandBatch: Sendable {
    private(set) var commands: [any RedisCommand] = []
    /// Why the connection may send none of them.
    private(set) var invalid: RedisError?
    private(set) var blocks = false

    var count: Int { commands.count }

    init<each Command: RedisCommand>(_ command: repeat each Command) {
        for command in repeat each command { append(command) }
    }

    init(_ commands: [some RedisCommand]) {
        self.commands.reserveCapacity(commands.count)
        for command in commands { append(command) }
    }

    private mutating func append(_ command: some RedisCommand) {
        commands.append(command)
        blocks = blocks || command.blockingTime != nil
        do throws(RedisError) {
            try command.validate()
        } catch {
            invalid = invalid ?? error
        }
    }

    func write(_ writer: inout CommandWriter) {
        for command in commands { writer.write(command) }
    }
}

extension RedisCommand {
    /// The result of this command. `server` says how old the server is, to explain an error with.
    func result(of outcome: PendingReplies.Outcome, on server: ServerInfo? = nil) -> Result<Response, RedisError> {
        Result { () throws(RedisError) in try response(to: outcome.get()) }.mapError { explain($0, on: server) }
    }

    /// The error that the server replied, if it did.
    func serverError(in outcome: PendingReplies.Outcome, on server: ServerInfo?) throws(RedisError) -> RedisError? {
        try serverError(in: outcome.get()).map { explain($0, on: server) }
    }

    /// Replaces an error by one that says that the server is too old, if that is the reason.
    func explain(_ error: RedisError, on server: ServerInfo?) -> RedisError {
        guard error.mayComeFromOldServer, let requirement, let server, !requirement.isMet(by: server) else {
            return error
        }
        return requirement.error(server: server, command: name)
    }
}

extension RedisError {
    fileprivate var mayComeFromOldServer: Bool { serverCode == "ERR" }
}
