internal import RedisStreams

/// The script that takes a snapshot of a group and its stream.
extension ScriptContext {
    func snapshot() throws(ReplyError) {
        guard let stream = try model.stream(model.place(keys[0], call)) else { throw .noSuchKey }
        guard let group = stream.group(arguments[0]) else { return model.reply.null() }
        model.reply.array(7)
        model.reply.bulk(group.lastID)
        write(group.pending.messages.first?.id)
        model.reply.integer(model.version.isAtLeast7_0 ? group.entriesRead ?? -1 : -1)
        model.reply.integer(model.version.isAtLeast7_0 ? stream.entriesAdded : -1)
        model.reply.integer(stream.count)
        write(stream.firstEntry?.id)
        model.reply.bulk(stream.lastID)
    }

    private func write(_ id: StreamID?) {
        if let id { model.reply.bulk(id) } else { model.reply.bulk("") }
    }
}
