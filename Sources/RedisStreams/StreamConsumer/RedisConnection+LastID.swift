extension RedisConnection {
    /// The last id that the stream has given out; zero if there is no stream. Not that of its last entry, which may have
    /// been deleted.
    ///
    /// The server sends the first and the last entry, too, with all that is in them: this is for users who may not run
    /// scripts.
    func lastGeneratedID(of stream: StreamKey) async throws(RedisError) -> StreamID {
        do throws(RedisError) {
            return try await execute(XINFO.STREAM(stream)).lastGeneratedID
        } catch {
            // The one error of this command without a word of its own: there is no such key.
            guard error.serverCode == "ERR" else { throw error }
            return .zero
        }
    }
}
