internal import Logging
internal import NIOCore

/// What is known of a stream that was looked at without scripts, so that it need not be asked for entries again.
struct KnownLength {
    var length: Int
    var position: StreamID
    /// How often nothing had changed since.
    var age = 0

    /// So often at most: a stream of the same length may still be another one.
    static let maxAge = 12
}

extension StreamEngine {
    /// Looks whether the streams go on where they were. Nothing is on its way.
    func look(at offsets: [StreamOffset], on connection: RedisConnection) async throws(RedisError) {
        askRole(on: connection)
        var looks: [StreamKey: StreamProbe]
        do throws(RedisError) {
            looks = try await probe(offsets, on: connection)
        } catch {
            if error.isRetriable { throw error }
            logger.notice("cannot look for discontinuities", metadata: [LogKey.reason: "\(error.code)"])
            return machine.cannotLook()
        }
        let outcome = machine.looked(looks)
        for event in outcome.events { report(event) }
        for move in outcome.moves { keeper?.moved(to: move) }
        if let failure = outcome.failure { throw failure }
    }

    /// By a script, where that is permitted: else a look brings entries, and is taken only when something has changed.
    private func probe(
        _ offsets: [StreamOffset],
        on connection: RedisConnection
    ) async throws(RedisError) -> [StreamKey: StreamProbe] {
        if probesByScript {
            do throws(RedisError) {
                var looks = try await StreamProbe.probe(offsets.map(\.stream), on: connection)
                let suspects = Dictionary(grouping: machine.suspects(among: looks), by: \.stream)
                if suspects.isEmpty { return looks }
                let ids = suspects.mapValues { $0.map(\.id) }
                looks.merge(try await StreamProbe.probe(Array(ids.keys), ids: ids, on: connection)) { $1 }
                return looks
            } catch {
                if error.isRetriable { throw error }
                probesByScript = false
            }
        }
        let changed = try await changed(offsets, on: connection)
        var looks = try await StreamProbe.look(at: changed.map(\.stream), on: connection)
        for offset in changed {
            guard case .there(let stream) = looks[offset.stream] else { continue }
            knownLengths[offset.stream] = KnownLength(length: stream.length, position: offset.id)
        }
        let suspects = machine.suspects(among: looks)
        if !suspects.isEmpty { looks.merge(try await StreamProbe.lookCloser(at: suspects, on: connection)) { $1 } }
        return looks
    }

    /// Those of which the length or the position has changed, or that were not looked at for long.
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

    /// The last id that a stream has given out; zero if there is no stream. Not that of its last entry, which may have been
    /// deleted.
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
    /// Asks the server whether it is a master. Leaves together with what is asked next, and is not waited for.
    private func askRole(on connection: RedisConnection) {
        guard master.mayAsk else { return }
        let command = ROLE()
        connection.begin(command) { outcome in
            self.assumeIsolated { engine in
                switch command.result(of: outcome) {
                case .success(let role): if engine.master.observe(role) { engine.node.serverIsNotMaster() }
                case .failure(let error): if !error.isRetriable { engine.master.mayAsk = false }
                }
            }
        }
    }
}
