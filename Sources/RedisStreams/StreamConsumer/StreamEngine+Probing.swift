internal import Logging
internal import NIOCore

/// The length of a stream at its last probe without a script. As long as it stays the same, the engine does not ask for
/// entries again.
struct KnownLength {
    var length: Int
    var position: StreamID
    /// How often the length was asked for since then, and had not changed.
    var age = 0

    /// The highest age. A stream of the same length may still be a different one, so it is probed now and then.
    static let maxAge = 12
}

extension StreamEngine {
    /// Probes whether the streams continue from the positions. No read is in flight.
    func probe(_ offsets: [StreamOffset], on connection: RedisConnection) async throws(RedisError) {
        askRole(on: connection)
        var probes: [StreamKey: StreamProbe]
        do throws(RedisError) {
            probes = try await sendProbes(offsets, on: connection)
        } catch {
            if error.isRetriable { throw error }
            logger.notice("cannot probe the streams for discontinuities", metadata: [LogKey.reason: "\(error.code)"])
            return machine.probesRefused()
        }
        let outcome = machine.probed(probes)
        for event in outcome.events { report(event) }
        for move in outcome.moves { keeper?.moved(to: move) }
        if let failure = outcome.failure { throw failure }
    }

    /// Probes by a script where the user has the right to. Otherwise a probe returns whole entries, so it is sent only
    /// when the length or the position has changed.
    private func sendProbes(
        _ offsets: [StreamOffset],
        on connection: RedisConnection
    ) async throws(RedisError) -> [StreamKey: StreamProbe] {
        if probesByScript {
            do throws(RedisError) {
                var probes = try await StreamProbe.probe(offsets.map(\.stream), on: connection)
                let entries = Dictionary(grouping: machine.entriesToCheck(in: probes), by: \.stream)
                if entries.isEmpty { return probes }
                let ids = entries.mapValues { $0.map(\.id) }
                probes.merge(try await StreamProbe.probe(Array(ids.keys), ids: ids, on: connection)) { $1 }
                return probes
            } catch {
                if error.isRetriable { throw error }
                probesByScript = false
            }
        }
        let changed = try await changed(offsets, on: connection)
        var probes = try await StreamProbe.probeWithoutScript(changed.map(\.stream), on: connection)
        for offset in changed {
            guard case .there(let stream) = probes[offset.stream] else { continue }
            knownLengths[offset.stream] = KnownLength(length: stream.length, position: offset.id)
        }
        let entries = machine.entriesToCheck(in: probes)
        if !entries.isEmpty {
            probes.merge(try await StreamProbe.probeEntriesWithoutScript(entries, on: connection)) { $1 }
        }
        return probes
    }

    /// Returns the offsets whose stream has changed its length, or whose position has changed, or that were not probed
    /// for long.
    private func changed(
        _ offsets: [StreamOffset],
        on connection: RedisConnection
    ) async throws(RedisError) -> [StreamOffset] {
        let commands = offsets.map { XLEN($0.stream) }
        let outcomes = await connection.sendTogether(count: commands.count, blocks: false) { writer in
            for command in commands { writer.write(command) }
        }
        var changed: [StreamOffset] = []
        for (offset, (command, outcome)) in zip(offsets, zip(commands, outcomes)) {
            let result = command.result(of: outcome)
            if case .failure(let error) = result, error.isRetriable { throw error }
            guard var known = knownLengths[offset.stream], case .success(known.length) = result,
                known.position == offset.id, known.age < KnownLength.maxAge
            else {
                changed.append(offset)
                continue
            }
            known.age += 1
            knownLengths[offset.stream] = known
        }
        return changed
    }

    /// Returns the last id that a stream has given out; zero if there is no stream. This is not the id of its last
    /// entry, which may have been deleted.
    func lastID(of stream: StreamKey, on connection: RedisConnection) async throws(RedisError) -> StreamID {
        if probesByScript {
            do throws(RedisError) {
                switch try await StreamProbe.probe([stream], on: connection)[stream] {
                case .there(let found): return found.lastID
                case .replaced: throw RedisError(serverText: "WRONGTYPE The key holds no stream", command: XREAD.name)
                case .missing, nil: return .zero
                }
            } catch {
                if error.isRetriable || error.code == .wrongType { throw error }
                probesByScript = false
            }
        }
        return try await connection.lastGeneratedID(of: stream)
    }
}

// MARK: Masters and replicas

extension StreamEngine {
    /// Asks the server for its role. The command is sent in one write with the probe, and the engine does not wait for
    /// its reply.
    private func askRole(on connection: RedisConnection) {
        guard master.mayAsk else { return }
        let command = ROLE()
        connection.enqueue(command) { outcome in
            self.assumeIsolated { engine in
                switch command.result(of: outcome) {
                case .success(let role): if engine.master.observe(role) { engine.route.serverIsNotMaster() }
                case .failure(let error): if !error.isRetriable { engine.master.mayAsk = false }
                }
            }
        }
    }
}
