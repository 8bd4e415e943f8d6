internal import RedisStreams

/// `XDELEX` and `XACKDEL`, since Redis 8.2.
extension RedisModel {
    private enum Outcome: Int {
        case missing = -1
        case deleted = 1
        /// The message was acknowledged by `XACKDEL`, but a group needs the entry, which stays.
        case stillReferenced = 2
    }

    func xdelex(_ call: Call) throws(ReplyError) {
        let place = place(call[1], call)
        let found = try stream(place)
        let (range, policy) = try deletion(call, from: 2)
        guard let stream = found else { return missing(range.count) }
        let ids = try call.ids(range)
        var hasChanged = false
        reply.array(ids.count)
        for id in ids {
            let outcome = delete(id, of: stream, policy)
            hasChanged = hasChanged || outcome == .deleted
            reply.integer(outcome.rawValue)
        }
        if hasChanged { touch(place) }
    }

    func xackdel(_ call: Call) throws(ReplyError) {
        let place = place(call[1], call)
        let found = try stream(place)
        let (range, policy) = try deletion(call, from: 3)
        guard let stream = found, let group = stream.group(call[2]) else { return missing(range.count) }
        let ids = try call.ids(range)
        var hasChanged = false
        reply.array(ids.count)
        for id in ids {
            guard let message = group.pending.find(id) else {
                reply.integer(Outcome.missing.rawValue)
                continue
            }
            group.remove(message)
            var outcome = delete(id, of: stream, policy)
            // The message was pending. If its entry was gone already, that counts as deleted.
            if outcome == .missing { outcome = .deleted }
            hasChanged = hasChanged || outcome == .deleted
            reply.integer(outcome.rawValue)
        }
        if hasChanged { touch(place) }
    }

    private func missing(_ count: Int) {
        reply.array(count)
        for _ in 0..<count { reply.integer(Outcome.missing.rawValue) }
    }

    private func delete(_ id: StreamID, of stream: StreamValue, _ policy: Trimming.Policy) -> Outcome {
        switch policy {
        case .keep: break
        case .delete: stream.removeReferences(id)
        case .acknowledged: if stream.isReferenced(id) { return .stillReferenced }
        }
        return stream.delete(id) ? .deleted : .missing
    }

    /// Reads a policy and `IDS numids id …`, in any order. Returns the positions of the ids.
    private func deletion(_ call: Call, from first: Int) throws(ReplyError) -> (Range<Int>, Trimming.Policy) {
        var policy: Trimming.Policy?
        var range: Range<Int>?
        var position = first
        while position < call.count {
            if let word = Trimming.Policy(call[position]) {
                guard policy == nil else { throw .syntax }
                policy = word
                position += 1
            } else if call.isWord(position, "IDS"), range == nil, call.following(position) > 0 {
                let error = ReplyError("ERR Number of IDs must be a positive integer")
                let count = try call.integer(position + 1, or: error)
                guard count > 0 else { throw error }
                guard count <= call.following(position + 1) else {
                    throw ReplyError("ERR The `numids` parameter must match the number of arguments")
                }
                range = position + 2..<position + 2 + count
                position += 2 + count
            } else {
                throw .syntax
            }
        }
        guard let range else { throw .syntax }
        return (range, policy ?? .keep)
    }
}
