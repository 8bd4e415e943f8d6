extension RedisCommandExecutor {
    /// Adds an entry to a stream, which the server creates if it does not exist; returns the id of the entry.
    ///
    /// If an error has ``RedisError/mayHaveExecuted`` set, the server may have added the entry. Adding it again can
    /// then create a second one, unless `idempotency` is given.
    ///
    /// Source: [XADD](https://redis.io/docs/latest/commands/xadd/).
    @discardableResult
    // This is the command that is called most. Without specialization, each generic call below copies it by its value
    // witnesses.
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
            throw RedisError(.unexpectedReply, "The server replied without the id of the entry.", command: XADD.name)
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
