/// The result for one entry of a command that deletes entries.
///
/// Source: [XDELEX](https://redis.io/docs/latest/commands/xdelex/).
public enum DeletionResult: Int, Sendable, Hashable {
    /// There is no such entry; for `XACKDEL`, it is not pending for the group.
    case notFound = -1
    /// The server deleted the entry.
    case deleted = 1
    /// The server kept the entry, since a group has yet to read or acknowledge it (``ReferencePolicy/acknowledged``).
    case stillReferenced = 2
}

extension RedisCommand {
    /// Decodes one result for each of `count` ids.
    func deletionResults(_ reply: RedisReply, count: Int) throws(RedisError) -> [DeletionResult] {
        let elements = try elements(reply)
        guard elements.count == count else { throw unexpected(reply) }
        var results: [DeletionResult] = []
        results.reserveCapacity(count)
        for element in elements {
            guard let result = DeletionResult(rawValue: try integer(element)) else { throw unexpected(element) }
            results.append(result)
        }
        return results
    }
}
