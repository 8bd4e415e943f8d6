internal import RedisStreams

/// The scripts that probe a stream without the bodies of its entries.
extension ScriptContext {
    func probe() throws(ReplyError) {
        guard let stream = try model.stream(model.place(keys[0], call)) else { return model.reply.null() }
        let asked = try arguments.indices.map { index throws(ReplyError) in try id(index) }
        let absent = asked.filter { !stream.contains($0) }
        model.reply.array(7 + absent.count)
        model.reply.integer(stream.count)
        model.reply.bulk(stream.lastID)
        write(stream.firstEntry?.id)
        write(stream.lastEntry?.id)
        model.reply.integer(model.version.isAtLeast7_0 ? stream.entriesAdded : -1)
        write(model.version.isAtLeast7_0 ? stream.maxDeletedID : nil)
        model.reply.integer(stream.groups.count)
        for id in absent { model.reply.bulk(id) }
    }

    func nextEntry() throws(ReplyError) {
        let position = try id(0)
        guard let start = position.next else { throw .invalidStart }
        guard let stream = try model.stream(model.place(keys[0], call)) else { return model.reply.null() }
        var found: StreamEntry?
        stream.forEach(from: start) { entry in
            found = entry
            return false
        }
        guard let found else { return model.reply.null() }
        let sizes = found.fieldSizes
        model.reply.array(3)
        model.reply.bulk(found.id)
        model.reply.integer(sizes.count)
        model.reply.integer(sizes.reduce(0, +))
    }

    private func write(_ id: StreamID?) {
        if let id { model.reply.bulk(id) } else { model.reply.bulk("") }
    }
}

extension StreamEntry {
    /// The size of each field and each value in bytes.
    fileprivate var fieldSizes: [Int] {
        var sizes: [Int] = []
        var limits = RESPLimits()
        limits.maxReplyBytes = .max
        limits.maxArrayElements = .max
        var reader = RESPReader(limits: limits)
        unsafe encoded.withUnsafeBytes { bytes in
            try? unsafe reader.read(bytes) { reply in
                sizes = reply.array.flatMap { Array($0).last?.array }?.map { $0.bytes?.count ?? 0 } ?? []
            }
        }
        return sizes
    }
}
