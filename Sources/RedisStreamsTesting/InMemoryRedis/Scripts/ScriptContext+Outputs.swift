internal import RedisStreams

/// The scripts that add entries.
extension ScriptContext {
    func publish() throws(ReplyError) {
        let subject = try subject()
        let id = try id(2)
        guard let message = subject.pending(id) else { return model.reply.null() }
        for key in keys.dropFirst() {
            switch model.lookup(model.place(key, call)) {
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

    func deadLetters() throws(ReplyError) {
        guard let after = StreamID(arguments[0], sequence: 0, isStrict: true) else { throw .invalidID }
        let deadLetterEntries = try model.stream(model.place(keys[0], call))
        let names = arguments.dropFirst(2).prefix(3)
        var found: [StreamEntry] = []
        let limit = number(1) ?? 0
        if let start = after.next, limit > 0 {
            deadLetterEntries?.forEach(from: start) { entry in
                found.append(entry)
                return found.count < limit
            }
        }
        model.reply.array(found.count)
        for entry in found {
            let fields = entry.fields
            let values = names.compactMap { name in fields.first { $0.name == name }?.value }
            let isDeadLetter = values.count == 3
            model.reply.array(isDeadLetter ? 4 : 1)
            model.reply.bulk(entry.id)
            if isDeadLetter { for value in values { model.reply.bulk(value) } }
        }
    }

    func redrive() throws(ReplyError) {
        guard let deadLetterEntries = try model.stream(model.place(keys[0], call)) else { return model.reply.null() }
        guard let deadLetterEntry = StreamID(arguments[0], sequence: 0, isStrict: true) else { throw .invalidID }
        guard let entry = deadLetterEntries.entry(deadLetterEntry) else { return model.reply.null() }
        let stream = try model.stream(model.place(keys[1], call))
        let id = try id(2)
        if try makePending(id, stream) {
            model.reply.bulk(arguments[2])
        } else {
            var own = Set(arguments.dropFirst(3))
            let payload = entry.fields.filter { own.remove($0.name) == nil }.flatMap { [$0.name, $0.value] }
            if payload.isEmpty || payload.count + 3 > 7900 { return model.reply.integer(0) }
            try add([Bytes("XADD"), keys[1], Bytes("*")] + payload)
        }
        if deadLetterEntries.delete(deadLetterEntry) { model.touch(model.place(keys[0], call)) }
    }

    /// Makes a message pending again. Returns whether its entry and its group exist.
    private func makePending(_ id: StreamID, _ stream: StreamValue?) throws(ReplyError) -> Bool {
        guard let stream, stream.contains(id), let group = stream.group(arguments[1]) else { return false }
        var claim = RedisModel.Claim(deliveryTime: model.time.wall, deliveryCount: 0, isForced: true, isIDOnly: true)
        claim.deliveryTime = max(0, model.time.wall - 4_000_000_000)
        return model.claim(id, claim, of: stream, group, for: Bytes("generated:returned"))
    }
}

extension StreamEntry {
    /// The names and values of the fields, as a script gets them.
    var fields: [(name: Bytes, value: Bytes)] {
        var reader = RESPReader()
        var words: [Bytes] = []
        unsafe encoded.withUnsafeBytes { bytes in
            unsafe try? reader.read(bytes) { reply in
                words = reply.array?[offset: 1]?.array?.map { $0.bytes ?? [] } ?? []
            }
        }
        return stride(from: 0, to: words.count - words.count % 2, by: 2).map { (words[$0], words[$0 + 1]) }
    }
}
