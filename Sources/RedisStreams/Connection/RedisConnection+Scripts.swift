extension RedisConnection {
    /// Queues a call until the next flush, as `enqueue(_:then:)` does with any command, and calls `handle` with what the script
    /// has returned. If the server does not know the script, the connection sends its text.
    nonisolated func enqueueScript(
        _ call: ScriptCall,
        then handle: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) {
        let sendWhole = { @Sendable in
            let whole = call.whole
            self.enqueue(whole) { handle(whole.result(of: $0)) }
        }
        enqueue(call) { outcome in
            let result = call.result(of: outcome)
            guard case .failure(let error) = result, error.code == .noScript else { return handle(result) }
            sendWhole()
        }
    }
}
