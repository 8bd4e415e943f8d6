internal import RedisStreams

/// The environment of a script: keys, arguments, and the commands of the server.
struct ScriptContext {
    let model: RedisModel
    let call: Call
    let keys: ScriptArguments
    let arguments: ScriptArguments

    /// The stream, the group and the consumer that a script works on.
    struct Subject {
        let stream: StreamValue
        let group: MessageGroup
        let consumer: Bytes
        let member: GroupMember?

        /// Whether a message is pending for the consumer.
        func isMine(_ id: StreamID) -> Bool { pending(id) != nil }

        func pending(_ id: StreamID) -> PendingMessage? { member?.pending.find(id) }
    }

    func subject() throws(ReplyError) -> Subject {
        let place = model.place(keys[0], call)
        guard let stream = try model.stream(place), let group = stream.group(arguments[0]) else {
            throw .noGroup(keys[0], arguments[0])
        }
        return Subject(stream: stream, group: group, consumer: arguments[1], member: group.member(arguments[1]))
    }

    func id(_ position: Int) throws(ReplyError) -> StreamID {
        guard let id = StreamID(arguments[position], sequence: 0, isStrict: true) else { throw .invalidID }
        return id
    }

    func number(_ position: Int) -> Int? { arguments[position].canonicalInteger }

    /// Executes a command as `redis.pcall` does.
    func run(_ arguments: [Bytes], _ handler: (RedisModel, Call) throws(ReplyError) -> Void) throws(ReplyError) {
        var inner = Call(arguments: arguments, client: call.client)
        inner.mayBlock = false
        try handler(model, inner)
    }

    func write(_ ids: [StreamID]) {
        model.reply.array(ids.count)
        for id in ids { model.reply.bulk(id) }
    }
}

/// The keys or the arguments of a script. A missing one is empty here, as it is `nil` in Lua, so that no call can crash
/// the process.
struct ScriptArguments: RandomAccessCollection {
    private let values: [Bytes]

    init(_ values: some Sequence<Bytes>) {
        self.values = Array(values)
    }

    var startIndex: Int { 0 }
    var endIndex: Int { values.count }

    subscript(position: Int) -> Bytes { values.indices.contains(position) ? values[position] : [] }
}
