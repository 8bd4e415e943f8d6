internal import RedisStreams

/// `XADD` and `XTRIM`.
extension RedisModel {
    /// The options before the fields of `XADD`, and after the key of `XTRIM`.
    private struct Options {
        enum ID {
            case automatic
            case whole(StreamID)
            /// An id such as `5-*`: the next sequence of that millisecond.
            case milliseconds(UInt64)
        }

        var trimming: Trimming?
        var policy: Trimming.Policy?
        var limit: Int?
        var makesStream = true
        var id = ID.automatic
        /// The position of the id in the arguments.
        var end = 0
    }

    func xadd(_ call: Call) throws(ReplyError) {
        let options = try options(call, isAdding: true)
        // If nothing follows the options, the id is missing as well.
        let fields = call.arguments.dropFirst(options.end + 1)
        guard fields.count >= 2, fields.count % 2 == 0 else {
            throw version == .redis6_2 ? ReplyError("ERR wrong number of arguments for XADD") : .arity("xadd")
        }
        if case .whole(.zero) = options.id {
            throw ReplyError("ERR The ID specified in XADD must be greater than 0-0")
        }
        let place = place(call[1], call)
        if !options.makesStream {
            guard try stream(place) != nil else { return reply.null() }
        }
        let stream = try streamOrNew(place)
        guard stream.lastID != .max else {
            throw ReplyError("ERR The stream has exhausted the last possible ID, unable to add more items")
        }
        guard let id = nextID(options.id, stream), id > stream.lastID else {
            throw ReplyError("ERR The ID specified in XADD is equal or smaller than the target stream top item")
        }
        stream.append(id, fields, settings.nodeLimits)
        reply.bulk(id)
        touch(place)
        if let trimming = options.trimming { _ = stream.trim(trimming) }
        signalReady(place)
    }

    private func nextID(_ id: Options.ID, _ stream: StreamValue) -> StreamID? {
        switch id {
        case .automatic: return stream.nextID(now: time.wall)
        case .whole(let id): return id
        case .milliseconds(let milliseconds):
            guard stream.lastID.milliseconds == milliseconds else { return StreamID(milliseconds: milliseconds) }
            guard stream.lastID.sequence < .max else { return nil }
            return StreamID(milliseconds: milliseconds, sequence: stream.lastID.sequence + 1)
        }
    }

    func xtrim(_ call: Call) throws(ReplyError) {
        let options = try options(call, isAdding: false)
        let place = place(call[1], call)
        guard let stream = try stream(place), let trimming = options.trimming else { return reply.integer(0) }
        let removed = stream.trim(trimming)
        if removed > 0 { touch(place) }
        reply.integer(removed)
    }

    // MARK: Arguments

    private func options(_ call: Call, isAdding: Bool) throws(ReplyError) -> Options {
        var options = Options()
        var position = 2
        loop: while position < call.count {
            let following = call.following(position)
            if isAdding, call[position] == [UInt8(ascii: "*")] {
                break
            } else if call.isWord(position, "MAXLEN") || call.isWord(position, "MINID"), following > 0 {
                try readThreshold(call, &position, &options)
            } else if call.isWord(position, "LIMIT"), following > 0 {
                let limit = try call.integer(position + 1)
                guard limit >= 0 else { throw ReplyError("ERR The LIMIT argument must be >= 0.") }
                options.limit = limit
                position += 1
            } else if isAdding, call.isWord(position, "NOMKSTREAM") {
                options.makesStream = false
            } else if version.hasReferencePolicies, options.policy == nil,
                let policy = Trimming.Policy(call[position])
            {
                options.policy = policy
            } else if isAdding {
                options.id = try newID(call, position)
                break loop
            } else {
                throw .syntax
            }
            position += 1
        }
        options.end = position
        try check(&options, isAdding: isAdding)
        return options
    }

    private func readThreshold(_ call: Call, _ position: inout Int, _ options: inout Options) throws(ReplyError) {
        guard options.trimming == nil else {
            throw ReplyError("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
        }
        let isLength = call.isWord(position, "MAXLEN")
        var isApproximate = false
        if call.following(position) >= 2, call[position + 1].count == 1 {
            if call[position + 1][0] == UInt8(ascii: "~") {
                isApproximate = true
                position += 1
            } else if call[position + 1][0] == UInt8(ascii: "=") {
                position += 1
            }
        }
        position += 1
        if isLength {
            let length = try call.integer(position)
            guard length >= 0 else { throw ReplyError("ERR The MAXLEN argument must be >= 0.") }
            options.trimming = Trimming(threshold: .length(length), isApproximate: isApproximate)
        } else {
            options.trimming = Trimming(threshold: .id(try call.id(position)), isApproximate: isApproximate)
        }
    }

    private func newID(_ call: Call, _ position: Int) throws(ReplyError) -> Options.ID {
        let argument = call[position]
        if version.isAtLeast7_0, argument.count > 2, argument.suffix(2) == Bytes("-*")[...] {
            guard let milliseconds = argument.dropLast(2).idPart else { throw .invalidID }
            return .milliseconds(milliseconds)
        }
        return .whole(try call.id(position))
    }

    private func check(_ options: inout Options, isAdding: Bool) throws(ReplyError) {
        if options.limit ?? 0 != 0, options.trimming == nil {
            throw ReplyError("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
        }
        if !isAdding, options.trimming == nil {
            throw ReplyError("ERR syntax error, XTRIM must be called with a trimming strategy")
        }
        let isApproximate = options.trimming?.isApproximate ?? false
        if let limit = options.limit {
            guard isApproximate else {
                throw ReplyError("ERR syntax error, LIMIT cannot be used without the special ~ option")
            }
            options.trimming?.limit = limit
        } else if isApproximate {
            options.trimming?.limit = settings.trimmingLimit
        }
        options.trimming?.policy = options.policy ?? .keep
    }
}
