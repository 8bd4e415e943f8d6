extension RedisConnection {
    /// Lets a call stand in line, as `begin(_:then:)` does for any command, and calls `handle` with what the script has
    /// returned. A server that does not know the script is sent its text.
    nonisolated func begin(
        _ call: ScriptCall,
        returning handle: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) {
        let sendWhole = { @Sendable in
            let whole = call.whole
            self.begin(whole, then: { handle(whole.result(of: $0)) })
        }
        begin(
            call,
            then: { outcome in
                let result = call.result(of: outcome)
                guard case .failure(let error) = result, error.code == .noScript else { return handle(result) }
                sendWhole()
            }
        )
    }
}
