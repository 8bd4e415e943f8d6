extension StreamProbe {
    // MARK: By a script

    /// Looks at streams, and whether they have entries with these ids, without the bodies of entries.
    static func probe(
        _ streams: some Collection<StreamKey>,
        ids: [StreamKey: [StreamID]] = [:],
        on connection: RedisConnection
    ) async throws(RedisError) -> [StreamKey: StreamProbe] {
        let calls = streams.map { stream in
            ScriptCall(.probe, keys: [stream], arguments: (ids[stream] ?? []).map { .text("\($0)") })
        }
        guard let first = calls.first else { return [:] }
        var looks: [StreamKey: StreamProbe] = [:]
        // Alone, so that it is the only one to be sent again to a server that does not know the script.
        looks[first.keys[0]] = try await StreamProbe(first, on: connection)
        let rest = calls.dropFirst()
        let outcomes = await connection.sendTogether(count: rest.count, blocks: false) { writer in
            for call in rest { writer.write(call) }
        }
        for (call, outcome) in zip(rest, outcomes) {
            let result = call.result(of: outcome)
            if case .failure(let error) = result, error.code == .noScript {
                looks[call.keys[0]] = try await StreamProbe(call, on: connection)
            } else {
                looks[call.keys[0]] = try StreamProbe(result, to: call)
            }
        }
        if looks.values.contains(where: \.lacksEntries), try await trimsAcknowledged(connection) {
            for (key, look) in looks where look.lacksEntries {
                guard case .there(var stream) = look else { continue }
                stream.mayHaveHoles = true
                looks[key] = .there(stream)
            }
        }
        return looks
    }

    /// Whether entries are missing, of a stream that has groups.
    private var lacksEntries: Bool {
        guard case .there(let stream) = self else { return false }
        return !stream.absentIDs.isEmpty && stream.groupCount > 0
    }

    private init(_ call: ScriptCall, on connection: RedisConnection) async throws(RedisError) {
        let result: Result<RedisReply, RedisError>
        do throws(RedisError) { result = .success(try await connection.run(call)) } catch { result = .failure(error) }
        try self.init(result, to: call)
    }

    private init(_ result: Result<RedisReply, RedisError>, to call: ScriptCall) throws(RedisError) {
        switch result {
        case .success(let reply):
            self = try StreamObservation(reply, to: call).map { .there($0) } ?? .missing
        case .failure(let error):
            guard error.code == .wrongType else { throw error }
            self = .replaced
        }
    }

    // MARK: Without scripts

    /// Looks at streams, all at once. Brings their first and their last entries, with all that is in them.
    static func look(
        at streams: some Sequence<StreamKey>,
        on connection: RedisConnection
    ) async throws(RedisError) -> [StreamKey: StreamProbe] {
        let commands = streams.map { XINFO.STREAM($0) }
        let outcomes = await connection.sendTogether(count: commands.count, blocks: false) { writer in
            for command in commands { writer.write(command) }
        }
        var looks: [StreamKey: StreamProbe] = [:]
        for (command, outcome) in zip(commands, outcomes) {
            let look = try StreamProbe(command.result(of: outcome))
            if case .missing = look { try await confirmMissing(command.key, on: connection) }
            looks[command.key] = look
        }
        return looks
    }

    /// The error for a missing key is told by its first word, which it shares with that for a command that is not known.
    /// Taking the one for the other would set readers back again and again.
    private static func confirmMissing(_ key: StreamKey, on connection: RedisConnection) async throws(RedisError) {
        guard try await connection.execute(EXISTS([key])) > 0 else { return }
        // Or the stream was made anew just now: then the next look tells.
        _ = try await connection.execute(XINFO.STREAM(key))
    }

    /// Looks at streams, and whether they have entries with these ids.
    ///
    /// The entries come first: if one was deleted or trimmed before that, the stream says so.
    static func lookCloser(
        at offsets: [StreamOffset],
        on connection: RedisConnection
    ) async throws(RedisError) -> [StreamKey: StreamProbe] {
        let entries = offsets.map { XRANGE($0.stream, from: .including($0.id), to: .including($0.id), count: 1) }
        let outcomes = await connection.sendTogether(count: entries.count, blocks: false) { writer in
            for command in entries { writer.write(command) }
        }
        var looks = try await look(at: Set(offsets.map(\.stream)), on: connection)
        for (command, outcome) in zip(entries, outcomes) {
            guard case .there(var stream) = looks[command.key] else { continue }
            switch command.result(of: outcome) {
            case .success(let found):
                if found.isEmpty, case .including(let id) = command.lower { stream.absentIDs.insert(id) }
            case .failure(let error):
                // Without the right to read ranges, nothing is found out this way.
                if error.isRetriable { throw error }
            }
            if !stream.absentIDs.isEmpty, stream.groupCount > 0 {
                stream.mayHaveHoles = try await trimsAcknowledged(connection)
            }
            looks[command.key] = .there(stream)
        }
        return looks
    }

    /// Whether the server can trim entries that have others before them.
    private static func trimsAcknowledged(_ connection: RedisConnection) async throws(RedisError) -> Bool {
        do throws(RedisError) {
            let server = try await connection.execute(INFO(section: "server"))
            return ServerRequirement("XTRIM with ACKED", redis: "8.2").isMet(by: server)
        } catch {
            if error.isRetriable { throw error }
            return true
        }
    }

    private init(_ result: Result<StreamInfo, RedisError>) throws(RedisError) {
        switch result {
        case .success(let info): self = .there(StreamObservation(info))
        case .failure(let error):
            if error.code == .wrongType {
                self = .replaced
            } else if error.isMissingKey {
                self = .missing
            } else {
                throw error
            }
        }
    }
}

extension RedisError {
    /// Whether `XINFO STREAM` says that there is no such key: its one error without a word of its own.
    var isMissingKey: Bool { serverCode == "ERR" }
}
