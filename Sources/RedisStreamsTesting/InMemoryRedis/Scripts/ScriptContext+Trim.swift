internal import RedisStreams

/// The script that trims a stream up to the first entry that its groups need.
extension ScriptContext {
    /// What a group needs of the stream.
    private struct Need {
        let group: MessageGroup
        let lowest: StreamID
        let lag: Int?
        let isAbandoned: Bool
        /// The first entry that the group needs, before the script removes needed entries.
        var first: StreamID?
    }

    func trim() throws(ReplyError) {
        let place = model.place(keys[0], call)
        guard let stream = try model.stream(place) else { return nothingTrimmed() }
        var needs = stream.groups.map { need($0, of: stream) }
        let removed = try trimUnneeded(stream, needs)
        let length = number(1)
        var forced = 0
        if let length, stream.count > length {
            for index in needs.indices {
                stream.forEach(from: needs[index].lowest) { entry in
                    needs[index].first = entry.id
                    return false
                }
            }
            let limit = model.settings.trimmingLimit
            forced = stream.trim(Trimming(threshold: .length(length), isApproximate: true, limit: limit))
        }
        if removed + forced > 0 { model.touch(place) }
        model.reply.array(5)
        for value in [removed, forced, stream.count] { model.reply.integer(value) }
        model.reply.bulk(stream.firstEntry?.id ?? .zero)
        model.reply.array(needs.count)
        for need in needs {
            let hasLost = forced > 0 && need.first.map { $0 < stream.firstEntry?.id ?? .zero } ?? false
            write(need, hasLost: hasLost)
        }
    }

    private func nothingTrimmed() {
        model.reply.array(5)
        for _ in 1...3 { model.reply.integer(0) }
        model.reply.bulk(StreamID.zero)
        model.reply.array(0)
    }

    private func write(_ need: Need, hasLost: Bool) {
        model.reply.array(6)
        model.reply.bulk(need.group.name)
        model.reply.bulk(need.lowest)
        model.reply.integer(need.group.pending.count)
        model.reply.integer(need.lag ?? -1)
        model.reply.integer(need.isAbandoned ? 1 : 0)
        model.reply.integer(hasLost ? 1 : 0)
    }

    private func need(_ group: MessageGroup, of stream: StreamValue) -> Need {
        let idle = group.members.map { max(0, model.time.wall - $0.seenTime) }.min()
        let maxIdle = number(2)
        return Need(
            group: group,
            lowest: group.pending.messages.first?.id ?? behind(group.lastID),
            lag: model.version.isAtLeast7_0 ? stream.lag(of: group, model.version) : nil,
            isAbandoned: maxIdle.flatMap { maxIdle in idle.map { $0 > maxIdle } } ?? false
        )
    }

    private func behind(_ id: StreamID) -> StreamID {
        id.sequence == .max ? id : StreamID(milliseconds: id.milliseconds, sequence: id.sequence + 1)
    }

    /// Removes the entries that no group and no position needs. Returns how many.
    private func trimUnneeded(_ stream: StreamValue, _ needs: [Need]) throws(ReplyError) -> Int {
        let waited = needs.filter { !$0.isAbandoned }
        let positions = try positions()
        guard var needed = (waited.map(\.lowest) + positions).min(),
            var delivered = (waited.map { behind($0.group.lastID) } + positions).min()
        else { return 0 }
        if let age = number(0) {
            let kept = StreamID(milliseconds: UInt64(max(0, model.time.wall &- age)))
            needed = min(needed, kept)
            delivered = min(delivered, kept)
        }
        let removed = stream.trim(Trimming(threshold: .id(needed)))
        let canTakeMore = model.version.hasReferencePolicies && waited.count == needs.count && needed < delivered
        guard canTakeMore else { return removed }
        return removed + stream.trim(Trimming(threshold: .id(delivered), policy: .acknowledged))
    }

    /// The ids at which stream consumers with a saved position continue; the beginning for those that have saved none
    /// yet.
    private func positions() throws(ReplyError) -> [StreamID] {
        var positions: [StreamID] = []
        for key in keys.dropFirst() {
            guard let saved = try model.hash(model.place(key, call))?.first(where: { $0.field == Bytes("id") }) else {
                positions.append(.zero)
                continue
            }
            guard let id = StreamID(saved.value, sequence: 0, isStrict: true) else { throw .invalidID }
            positions.append(behind(id))
        }
        return positions
    }
}
