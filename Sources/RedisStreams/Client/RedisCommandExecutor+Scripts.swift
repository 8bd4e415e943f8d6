extension RedisCommandExecutor {
    /// Runs a script by its SHA-1, and sends its text if the server does not know it.
    func run(_ call: ScriptCall) async throws(RedisError) -> RedisReply {
        do throws(RedisError) {
            return try await execute(call)
        } catch {
            guard error.code == .noScript else { throw error }
            return try await execute(call.whole)
        }
    }
}
