import RedisStreams

/// Gives `body` the name of a stream that no one else uses, and deletes the stream at the end.
package func withTemporaryStream<Result>(
    _ purpose: String,
    on redis: RedisClient,
    _ body: (StreamKey) async throws -> Result
) async throws -> Result {
    let stream = StreamKey("\(purpose)-\(String(UInt32.random(in: .min ... .max), radix: 36))")
    do {
        let result = try await body(stream)
        try await redis.del(stream)
        return result
    } catch {
        _ = try? await redis.del(stream)
        throw error
    }
}
