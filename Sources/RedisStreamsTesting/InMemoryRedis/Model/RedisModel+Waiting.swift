internal import RedisStreams

/// Blocked reads, and how they end.
extension RedisModel {
    func startWaiting(_ wait: Wait, _ client: Client) {
        client.wait = wait
        for place in wait.places where !(waiting[place]?.contains { $0 === client } ?? false) {
            waiting[place, default: []].append(client)
        }
    }

    @discardableResult
    func stopWaiting(_ client: Client) -> Wait? {
        if client.replicaWait != nil {
            client.replicaWait = nil
            replicaWaiters.removeAll { $0 === client }
        }
        guard let wait = client.wait else { return nil }
        client.wait = nil
        for place in wait.places {
            waiting[place]?.removeAll { $0 === client }
            if waiting[place]?.isEmpty ?? false { waiting[place] = nil }
        }
        return wait
    }

    /// Ends the wait of a client with this reply.
    func release(_ client: Client, _ write: (inout ReplyWriter) -> Void) {
        stopWaiting(client)
        client.isAsking = false
        var writer = ReplyWriter(isRESP3: client.usesRESP3)
        write(&writer)
        emit(writer.bytes, to: client)
        released.append(client)
    }

    /// Ends the waits whose time is over.
    func endWaits() {
        guard !waiting.isEmpty else { return }
        let due = clients.values.filter { $0.wait?.deadline.map { $0 <= time.monotonic } ?? false }
            .sorted { ($0.wait?.deadline ?? 0, $0.connection) < ($1.wait?.deadline ?? 0, $1.connection) }
        for client in due { release(client) { $0.nullArray() } }
    }

    // MARK: Keys that change

    /// A stream was created or has changed, and clients may wait for it.
    func signalReady(_ place: KeyPlace) {
        guard !waiting.isEmpty, waiting[place] != nil, !readyKeys.contains(place) else { return }
        readyKeys.append(place)
    }

    /// A stream no longer exists. Redis 6.2 lets blocked reads wait on.
    func signalGone(_ place: KeyPlace) {
        guard version.isAtLeast7_0 else { return }
        if version.isAtLeast7_2, !(waiting[place]?.contains { $0.wait?.group != nil } ?? false) { return }
        signalReady(place)
    }

    /// Serves the clients that wait for keys that have changed.
    func serveWaiting() {
        while !readyKeys.isEmpty {
            let places = readyKeys
            readyKeys = []
            for place in places { serve(place) }
        }
    }

    private func serve(_ place: KeyPlace) {
        guard let clients = waiting[place] else { return }
        for client in clients where client.wait != nil {
            let value = lookup(place)
            if version.isAtLeast7_2 {
                if value?.isStream ?? false || client.wait?.group != nil { repeatCommand(of: client) }
            } else if case .stream(let stream)? = value {
                serve(client, stream, place)
            } else if version == .redis7_0, client.wait?.group != nil {
                release(client) { $0.error(ReplyError("UNBLOCKED the stream key no longer exists")) }
            }
        }
    }

    /// Since 7.2 the server executes the command as if it arrived now. The command may block again, but not for longer.
    private func repeatCommand(of client: Client) {
        guard let wait = stopWaiting(client) else { return }
        let bytes = runRepeatedly(wait, for: client)
        if client.isWaiting { return }
        client.isAsking = false
        emit(bytes, to: client)
        released.append(client)
    }

    /// Before 7.2 the server sends the new entries to the client.
    private func serve(_ client: Client, _ stream: StreamValue, _ place: KeyPlace) {
        guard let wait = client.wait, let index = wait.places.firstIndex(of: place) else { return }
        var start = wait.ids[index]
        var reading: StreamReading?
        if let group = wait.group {
            guard let found = stream.group(group.group) else {
                let text = "NOGROUP the consumer group this client was blocked on no longer exists"
                return release(client) { $0.error(ReplyError(text)) }
            }
            start = found.lastID
            guard stream.lastID > start else { return }
            let member = found.member(group.consumer) ?? found.addMember(group.consumer, now: time.wall)
            member.seenTime = time.wall
            reading = StreamReading(group: found, member: member, isAcknowledged: group.isAcknowledged)
        }
        guard stream.lastID > start, let first = start.next else { return }
        let count = wait.count == 0 ? 1000 : wait.count
        release(client) { writer in
            let mark = writer.mark
            writer.pair()
            writer.bulk(place.key)
            read(stream, from: first, count: count, reading, into: &writer)
            writer.pairs(1, from: mark)
        }
    }
}
