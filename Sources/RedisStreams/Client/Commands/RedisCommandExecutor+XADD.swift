extension RedisCommandExecutor {
    /// Adds an entry to a stream, which is created if it does not exist; returns the id of the entry.
    ///
    /// An error whose ``RedisError/mayHaveExecuted`` is set leaves open whether the entry was added: adding it again can
    /// make a second one, unless `idempotency` is given.
    ///
    /// Source: [XADD](https://redis.io/docs/latest/commands/xadd/).
    @discardableResult
    // The command that is called most: the generic way down copies it, by its value witnesses, at every step.
    @_specialize(where Self == RedisClient)
    public func xadd(
        _ stream: StreamKey,
        _ fields: StreamFieldsToAdd,
        id: XADD.EntryID = .auto,
        trim: TrimStrategy? = nil,
        references: ReferencePolicy? = nil,
        idempotency: Idempotency? = nil
    ) async throws(RedisError) -> StreamID {
        let command = XADD(stream, fields, id: id, trim: trim, references: references, idempotency: idempotency)
        guard let id = try await execute(command) else {
            throw RedisError(.unexpectedReply, "The server did not tell the id of the entry.", command: XADD.name)
        }
        return id
    }

    /// Adds an entry to a stream that exists; returns its id, or `nil` if there is no such stream (`NOMKSTREAM`).
    ///
    /// Source: [XADD](https://redis.io/docs/latest/commands/xadd/).
    @discardableResult
    public func xaddIfStreamExists(
        _ stream: StreamKey,
        _ fields: StreamFieldsToAdd,
        id: XADD.EntryID = .auto,
        trim: TrimStrategy? = nil,
        references: ReferencePolicy? = nil,
        idempotency: Idempotency? = nil
    ) async throws(RedisError) -> StreamID? {
        try await execute(
            XADD(
                stream,
                fields,
                id: id,
                createStream: false,
                trim: trim,
                references: references,
                idempotency: idempotency
            )
        )
    }
}
