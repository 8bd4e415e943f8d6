internal import RedisStreams

/// The scripts that add entries.
extension ScriptContext {
    func emit() throws(ReplyError) {
        let subject = try subject()
        let id = try id(2)
        guard let message = subject.pending(id) else { return model.reply.null() }
        for key in keys.dropFirst() {
            switch model.lookUp(model.place(key, call)) {
            case .stream?, nil: break
            default: throw ReplyError("WRONGTYPE The output goes to a key that holds no stream")
            }
        }
        let mark = model.reply.mark
        var (added, position) = (0, 3)
        while position + 2 < arguments.count {
            guard let key = number(position), key > 0, key <= keys.count, let count = number(position + 2),
                (0...arguments.count).contains(count)
            else { throw .notAnInteger }
            let end = position + 3 + count
            var command = [Bytes("XADD"), keys[key - 1]]
            if !arguments[position + 1].isEmpty {
                command += [Bytes("MAXLEN"), Bytes("~"), arguments[position + 1]]
            }
            command.append(Bytes("*"))
            command += arguments[min(position + 3, arguments.count)..<min(end, arguments.count)]
            try add(command)
            added += 1
            position = end
        }
        subject.group.remove(message)
        model.reply.array(added, from: mark)
    }

    private func add(_ command: [Bytes]) throws(ReplyError) {
        guard command.count >= 5 else { throw .arity("xadd") }
        try run(command) { model, call throws(ReplyError) in try model.xadd(call) }
    }

    func redrive() throws(ReplyError) {
        guard let letters = try model.stream(model.place(keys[0], call)) else { return model.reply.null() }
        guard let letter = StreamID(arguments[0], sequence: 0, isStrict: true) else { throw .invalidID }
        guard letters.contains(letter) else { return model.reply.null() }
        let stream = try model.stream(model.place(keys[1], call))
        let id = try id(2)
        if try !putBack(id, stream) {
            try add([Bytes("XADD"), keys[1], Bytes("*")] + arguments.dropFirst(3))
        } else {
            model.reply.bulk(arguments[2])
        }
        if letters.delete(letter) { model.touch(model.place(keys[0], call)) }
    }

    /// Makes the message pending again. Returns whether its entry and its group are there.
    private func putBack(_ id: StreamID, _ stream: StreamValue?) throws(ReplyError) -> Bool {
        guard let stream, stream.contains(id), let group = stream.group(arguments[1]) else { return false }
        var claim = RedisModel.Claim(deliveryTime: model.time.wall, deliveryCount: 0, isForced: true, isIDOnly: true)
        claim.deliveryTime = max(0, model.time.wall - 4_000_000_000)
        return model.claim(id, claim, of: stream, group, for: Bytes("redrive"))
    }
}
