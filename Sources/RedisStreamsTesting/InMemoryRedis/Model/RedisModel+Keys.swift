/// Access to keys, and the effects of a change on blocked and watching clients.
extension RedisModel {
    func place(_ key: Bytes, _ call: Call) -> KeyPlace {
        KeyPlace(database: call.client.database, key: key)
    }

    /// Returns the value of a key, unless it has expired.
    func lookup(_ place: KeyPlace) -> StoredValue? {
        guard let slot = databases[place.database][place.key] else { return nil }
        if let expiry = slot.expiry, expiry <= time.wall {
            delete(place)
            return nil
        }
        return slot.value
    }

    func stream(_ place: KeyPlace) throws(ReplyError) -> StreamValue? {
        switch lookup(place) {
        case .stream(let stream)?: return stream
        case nil: return nil
        default: throw .wrongType
        }
    }

    func stream(_ call: Call, _ position: Int = 1) throws(ReplyError) -> StreamValue? {
        try stream(place(call[position], call))
    }

    /// Returns the stream of a key, and creates it if there is none.
    func streamOrNew(_ place: KeyPlace) throws(ReplyError) -> StreamValue {
        if let stream = try stream(place) { return stream }
        let stream = StreamValue()
        store(.stream(stream), at: place)
        return stream
    }

    func store(_ value: StoredValue, at place: KeyPlace, expiry: Int? = nil) {
        let replaced = databases[place.database][place.key]?.value
        databases[place.database][place.key] = Keyspace.Slot(value: value, expiry: expiry)
        if case .stream = value {
            signalReady(place)
        } else if replaced?.isStream ?? false {
            signalGone(place)
        }
        touch(place)
    }

    /// Deletes a key. Returns whether it existed.
    @discardableResult
    func delete(_ place: KeyPlace) -> Bool {
        guard let slot = databases[place.database][place.key] else { return false }
        databases[place.database][place.key] = nil
        if slot.value.isStream { signalGone(place) }
        touch(place)
        return true
    }

    /// Marks the value as changed, so that transactions that watch it fail.
    func touch(_ place: KeyPlace) {
        guard !watchedChanges.isEmpty, let changes = watchedChanges[place] else { return }
        watchedChanges[place] = changes + 1
    }

    func removeExpired() {
        for index in databases.indices where !databases[index].expiringKeys.isEmpty {
            for key in databases[index].expired(now: time.wall) { delete(KeyPlace(database: index, key: key)) }
        }
        serveWaiting()
    }

    /// Empties a database.
    func flush(_ database: Int) {
        let gone = waiting.keys.filter { $0.database == database && databases[database][$0.key] != nil }
        let streams = gone.filter { databases[database][$0.key]?.value.isStream ?? false }
        for place in watchedChanges.keys where place.database == database && databases[database][place.key] != nil {
            touch(place)
        }
        databases[database].removeAll()
        for place in streams.sorted(by: { Bytes.precedes($0.key, $1.key) }) { signalGone(place) }
    }

    /// Swaps two databases. A blocked client goes on waiting for its key in the database with the same number.
    func swap(_ first: Int, _ second: Int) {
        guard first != second else { return }
        let places = waiting.keys.filter { $0.database == first || $0.database == second }
            .sorted { ($0.database, $0.key.text) < ($1.database, $1.key.text) }
        let before = places.map { databases[$0.database][$0.key]?.value.isStream ?? false }
        for place in watchedChanges.keys where place.database == first || place.database == second {
            touch(place)
        }
        databases.swapAt(first, second)
        for (place, wasStream) in zip(places, before) {
            if databases[place.database][place.key]?.value.isStream ?? false {
                signalReady(place)
            } else if wasStream {
                signalGone(place)
            }
        }
    }
}
