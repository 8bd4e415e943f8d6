internal import RedisStreams

/// The script that saves the position of a stream consumer.
extension ScriptContext {
    func savePosition() throws(ReplyError) {
        let place = model.place(keys[0], call)
        var fields = try model.hash(place) ?? []
        let saved = fields.first { $0.field == Bytes("id") }?.value
        let epoch = fields.first { $0.field == Bytes("epoch") }?.value.canonicalInteger ?? 0
        var mine = number(1) ?? 0
        if saved != nil, epoch > mine { return model.reply.integer(epoch) }
        if arguments.count > 2, arguments[2] == Bytes("move") {
            mine &+= 1
        } else if let saved, epoch == mine, !isAbove(arguments[0], saved) {
            return model.reply.integer(epoch)
        }
        for (field, value) in [(Bytes("id"), arguments[0]), (Bytes("epoch"), Bytes("\(mine)"))] {
            if let index = fields.firstIndex(where: { $0.field == field }) {
                fields[index].value = value
            } else {
                fields.append((field, value))
            }
        }
        model.store(.hash(fields), at: place, expiry: model.databases[place.database][place.key]?.expiry)
        model.reply.integer(mine)
    }

    private func isAbove(_ left: Bytes, _ right: Bytes) -> Bool {
        guard let left = StreamID(left, sequence: 0, isStrict: true),
            let right = StreamID(right, sequence: 0, isStrict: true)
        else { return true }
        return left > right
    }
}
