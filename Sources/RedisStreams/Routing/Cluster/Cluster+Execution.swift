internal import NIOCore

extension Cluster {
    /// Where a command is sent.
    private enum Target {
        /// To the node that serves its slot.
        case owner
        case node(ServerAddress, NodeRole)

        var isAsking: Bool {
            if case .node(_, .asking) = self { true } else { false }
        }
    }

    /// Calls `send` with a connection to the node that serves the slot. While the slot moves, `send` is called again with
    /// connections to other nodes, if its error says that nothing was executed.
    ///
    /// - Throws: ``RedisError``: the last error of `send`, or why there is no connection.
    func execute<Value: Sendable>(
        slot: Int?,
        leases: Bool = false,
        _ send: (RedisConnection) async throws(RedisError) -> Value
    ) async throws(RedisError) -> Value {
        let deadline = now + TimeAmount(settings.acquireTimeout)
        var budget = RedirectBudget()
        var target = Target.owner
        while true {
            let failure: RedisError
            var address: ServerAddress?
            var refusing: ServerAddress?
            do throws(RedisError) {
                let node = try node(of: target, slot)
                let pool = node.pool
                if !target.isAsking { refusing = node.endpoint.address }
                let connection = leases ? try await pool.lease() : try await pool.shared()
                address = connection.configuration.address
                refusing = nil
                let result: Result<Value, RedisError>
                do throws(RedisError) { result = .success(try await send(connection)) } catch {
                    result = .failure(error)
                }
                if leases { await pool.released(connection) }
                return try result.get()
            } catch {
                failure = error
            }
            if let refusing, failure.isRefusalOfPeer {
                try await waitForOtherOwner(of: slot, than: refusing, after: failure, before: deadline)
                target = .owner
                continue
            }
            let step = budget.next(after: failure, at: address)
            // Nodes that send a command on to each other have not agreed yet.
            if budget.redirections > 2 { await waitForChange(atMost: settings.delay(attempt: budget.redirections)) }
            switch step {
            case .sendTo(let address): target = .node(address, .usual)
            case .ask(let address): target = .node(address, .asking)
            case .wait(let attempt):
                try await waitToTryAgain(after: failure, attempt: attempt, before: deadline)
                target = .owner
            case .fail: throw failure
            case .failMoving: throw Self.redirectedTooOften(failure)
            }
        }
    }

    private func node(of target: Target, _ slot: Int?) throws(RedisError) -> Node {
        switch target {
        case .node(let address, let role): return node(at: address, role)
        case .owner:
            guard let owner = owner(of: slot) else { throw noOwner(of: slot) }
            return owner
        }
    }

    private static func redirectedTooOften(_ error: RedisError) -> RedisError {
        RedisError(
            .slotMoving,
            "The command was sent on \(RedirectBudget.maxRedirections) times, and then once more: the nodes of the cluster "
                + "disagree. Try again later.",
            command: error.command
        )
    }
}

extension RedisError {
    /// Whether no connection could be made for a reason that lies with whoever listens at the address.
    var isRefusalOfPeer: Bool {
        !isRetriable && ![.cancelled, .clientShutDown, .invalidArgument, .invalidConfiguration].contains(code)
    }
}

extension ClusterSettings {
    /// The delay before another attempt.
    func delay(attempt: Int) -> Duration { min(.seconds(1), backoff.delay(attempt: attempt, jitter: randomness())) }
}

/// The one slot of the keys of a command.
enum SlotCheck {
    /// - Throws: ``RedisError`` with ``RedisError/Code/crossSlot``: the keys are in several slots.
    static func slot(of keys: some Sequence<StreamKey>, for command: String? = nil) throws(RedisError) -> Int? {
        var first: (key: StreamKey, slot: Int)?
        for key in keys {
            let slot = key.slot
            guard let first else {
                first = (key, slot)
                continue
            }
            if slot != first.slot { throw crossSlot(first.key, key, command) }
        }
        return first?.slot
    }

    private static func crossSlot(_ first: StreamKey, _ second: StreamKey, _ command: String?) -> RedisError {
        RedisError(
            .crossSlot,
            "In a cluster the keys '\(first)' and '\(second)' are in different slots, \(first.slot) and \(second.slot), and "
                + "cannot be used together. Give them the same hash tag, as in '{orders}:in' and '{orders}:out': only what "
                + "is in braces decides on the slot.",
            command: command
        )
    }
}
