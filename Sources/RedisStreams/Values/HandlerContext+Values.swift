// Disfavored for the same reason as `xadd` with a value.

extension HandlerContext {
    /// Stages an entry whose fields are the properties of a value.
    ///
    /// See ``emit(_:to:maxLength:)-(StreamFieldsToAdd,_,_)`` for what that does, and
    /// ``StreamFieldsToAdd/init(encoding:)`` for how a property becomes a field.
    ///
    /// ```swift
    /// try context.emit(Invoice(order: message.id.description, total: 12.5), to: "invoices")
    /// ```
    ///
    /// - Throws: ``RedisError``, with ``RedisError/Code/encodingFailed`` for a value that cannot be encoded as fields.
    @_disfavoredOverload
    public func emit(
        _ value: some Encodable & Sendable,
        to stream: StreamKey,
        maxLength: Int? = nil
    ) throws(RedisError) {
        try emit(StreamFieldsToAdd(encoding: value), to: stream, maxLength: maxLength)
    }
}
