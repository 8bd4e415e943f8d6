/// The result of probing a stream: whether it exists, and its state.
enum StreamProbe: Sendable {
    /// There is no such key.
    case missing
    /// The key holds a value of another type.
    case replaced
    /// The key holds a stream.
    case there(StreamObservation)
}

extension StreamProbe {
    // MARK: By a script

    /// Probes streams, and whether they have entries with these ids. The replies do not contain the bodies of entries.
    static func probe(
        _ streams: some Collection<StreamKey>,
        ids: [StreamKey: [StreamID]] = [:],
        on connection: RedisConnection
    ) async throws(RedisError) -> [StreamKey: StreamProbe] {
        let calls = streams.map { stream in
            ScriptCall(.probe, keys: [stream], arguments: (ids[stream] ?? []).map { .text("\($0)") })
        }
        guard let first = calls.first else { return [:] }
        var probes: [StreamKey: StreamProbe] = [:]
        // The first call is sent alone, so that only this one has to be sent again to a server that does not have the
        // script.
        probes[first.keys[0]] = try await StreamProbe(first, on: connection)
        let rest = calls.dropFirst()
        let outcomes = await connection.sendTogether(count: rest.count, blocks: false) { writer in
            for call in rest { writer.write(call) }
        }
        for (call, outcome) in zip(rest, outcomes) {
            let result = call.result(of: outcome)
            if case .failure(let error) = result, error.code == .noScript {
                probes[call.keys[0]] = try await StreamProbe(call, on: connection)
            } else {
                probes[call.keys[0]] = try StreamProbe(result, to: call)
            }
        }
        if probes.values.contains(where: \.lacksEntries), try await trimsAcknowledged(connection) {
            for (key, probe) in probes where probe.lacksEntries {
                guard case .there(var stream) = probe else { continue }
                stream.mayHaveHoles = true
                probes[key] = .there(stream)
            }
        }
        return probes
    }

    /// Whether a stream with groups lacks one of the entries.
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

    /// Probes streams by `XINFO STREAM`, all in one write. The replies contain the whole first and last entry of each
    /// stream.
    static func probeWithoutScript(
        _ streams: some Sequence<StreamKey>,
        on connection: RedisConnection
    ) async throws(RedisError) -> [StreamKey: StreamProbe] {
        let commands = streams.map { XINFO.STREAM($0) }
        let outcomes = await connection.sendTogether(count: commands.count, blocks: false) { writer in
            for command in commands { writer.write(command) }
        }
        var probes: [StreamKey: StreamProbe] = [:]
        for (command, outcome) in zip(commands, outcomes) {
            let probe = try StreamProbe(command.result(of: outcome))
            if case .missing = probe { try await confirmMissing(command.key, on: connection) }
            probes[command.key] = probe
        }
        return probes
    }

    /// The error for a missing key is recognized by its first word, `ERR`, which it shares with the error for an
    /// unknown command. Taking that one for a missing key would set consumers back again and again.
    private static func confirmMissing(_ key: StreamKey, on connection: RedisConnection) async throws(RedisError) {
        guard try await connection.execute(EXISTS([key])) > 0 else { return }
        // Either the first error had another cause, and is thrown here again, or the stream was recreated in between,
        // which the next probe shows.
        _ = try await connection.execute(XINFO.STREAM(key))
    }

    /// Probes streams without a script, and whether they have entries with these ids.
    ///
    /// The entries are read first: if one was deleted or trimmed before that, the state of the stream shows it.
    static func probeEntriesWithoutScript(
        _ offsets: [StreamOffset],
        on connection: RedisConnection
    ) async throws(RedisError) -> [StreamKey: StreamProbe] {
        let entries = offsets.map { XRANGE($0.stream, from: .including($0.id), to: .including($0.id), count: 1) }
        let outcomes = await connection.sendTogether(count: entries.count, blocks: false) { writer in
            for command in entries { writer.write(command) }
        }
        var probes = try await probeWithoutScript(Set(offsets.map(\.stream)), on: connection)
        for (command, outcome) in zip(entries, outcomes) {
            guard case .there(var stream) = probes[command.key] else { continue }
            switch command.result(of: outcome) {
            case .success(let found):
                if found.isEmpty, case .including(let id) = command.lower { stream.absentIDs.insert(id) }
            case .failure(let error):
                // Without the right to run `XRANGE`, the probe leaves the entry open.
                if error.isRetriable { throw error }
            }
            if !stream.absentIDs.isEmpty, stream.groupCount > 0 {
                stream.mayHaveHoles = try await trimsAcknowledged(connection)
            }
            probes[command.key] = .there(stream)
        }
        return probes
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
    /// Whether `XINFO STREAM` says that there is no such key. This is the only error of that command that begins with
    /// the generic `ERR`; an unknown command fails with `ERR` as well.
    var isMissingKey: Bool { serverCode == "ERR" }
}
