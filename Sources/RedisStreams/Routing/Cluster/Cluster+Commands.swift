extension Cluster {
    /// Executes one command on the node that serves its keys.
    func execute<Command: RedisCommand>(_ command: Command) async throws(RedisError) -> Command.Response {
        let slot = try SlotCheck.slot(of: command.keys, for: command.name)
        do throws(RedisError) {
            return try await execute(slot: slot, leases: command.blockingTime != nil) {
                connection throws(RedisError) in
                try await connection.execute(command)
            }
        } catch {
            throw error.command == nil ? error.about(command: command.name) : error
        }
    }

    /// Sends commands of several types to the nodes of their keys: in one piece for each slot, and in order within a slot.
    func pipeline<each Command: RedisCommand>(
        _ command: repeat each Command
    ) async -> (repeat Result<(each Command).Response, RedisError>) {
        let outcomes = await outcomes(of: CommandBatch(repeat each command))
        var next = 0
        func outcome<C: RedisCommand>(_ command: C) -> Result<C.Response, RedisError> {
            defer { next += 1 }
            return command.result(of: outcomes[next])
        }
        return (repeat outcome(each command))
    }

    /// Sends any number of commands of one type to the nodes of their keys.
    func pipeline<Command: RedisCommand>(_ commands: [Command]) async -> [Result<Command.Response, RedisError>] {
        let outcomes = await outcomes(of: CommandBatch(commands))
        return zip(commands, outcomes).map { command, outcome in command.result(of: outcome) }
    }

    /// Executes commands of one slot as a transaction.
    func transaction<each Command: RedisCommand>(
        _ command: repeat each Command
    ) async throws(RedisError) -> (repeat Result<(each Command).Response, RedisError>) {
        var keys: [StreamKey] = []
        for command in repeat each command { keys += command.keys }
        return try await execute(slot: try SlotCheck.slot(of: keys, for: "MULTI")) { connection throws(RedisError) in
            try await connection.transaction(repeat each command)
        }
    }

    // MARK: Pipelines

    private func outcomes(of batch: CommandBatch) async -> [PendingReplies.Outcome] {
        var outcomes = [PendingReplies.Outcome](repeating: .failure(Self.unsent), count: batch.count)
        if let error = batch.invalid { return outcomes.map { _ in .failure(error) } }
        var positions: [Int?: [Int]] = [:]
        for (position, command) in batch.commands.enumerated() {
            do throws(RedisError) {
                positions[try SlotCheck.slot(of: command.keys, for: command.name), default: []].append(position)
            } catch {
                outcomes[position] = .failure(error)
            }
        }
        await withTaskGroup(of: [(Int, PendingReplies.Outcome)].self) { group in
            for (slot, positions) in positions {
                group.addTask {
                    let replies = await self.outcomes(of: positions.map { batch.commands[$0] }, slot: slot)
                    return Array(zip(positions, replies))
                }
            }
            for await part in group {
                for (position, outcome) in part { outcomes[position] = outcome }
            }
        }
        return outcomes
    }

    /// Sends commands of one slot in one piece. Those that a node did not execute are sent again, in order.
    private func outcomes(of commands: [any RedisCommand], slot: Int?) async -> [PendingReplies.Outcome] {
        var outcomes = [PendingReplies.Outcome](repeating: .failure(Self.unsent), count: commands.count)
        var remaining = Array(commands.indices)
        do throws(RedisError) {
            try await execute(slot: slot) { connection throws(RedisError) in
                let replies = await connection.sendTogether(count: remaining.count, blocks: false) { writer in
                    for position in remaining { writer.write(commands[position]) }
                }
                var refused: [Int] = []
                var reason: RedisError?
                for (position, outcome) in zip(remaining, replies) {
                    outcomes[position] = outcome
                    guard let error = outcome.refusal else { continue }
                    refused.append(position)
                    reason = reason ?? error
                }
                remaining = refused
                if let reason { throw reason }
            }
        } catch {
            for position in remaining where outcomes[position].refusal != nil { outcomes[position] = .failure(error) }
        }
        return outcomes
    }

    private static var unsent: RedisError {
        RedisError(.connectionUnavailable, "The command was not sent.")
    }
}

extension Result where Success == RedisReply, Failure == RedisError {
    /// Why the command was not executed, if it is sent again: it was not sent, or its slot has moved, and then every later
    /// command of the slot was refused as well. After `CLUSTERDOWN` or `LOADING` a later one may have been executed.
    fileprivate var refusal: RedisError? {
        guard case .failure(let error) = self, RedirectBudget.mayPass(error) else { return nil }
        return error
    }
}
