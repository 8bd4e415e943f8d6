internal import RedisStreams

/// How many entries a group has read and not read, as far as the server can tell without counting them.
extension StreamValue {
    /// Whether an entry at or after `start` was deleted.
    private func hasTombstones(from start: StreamID, _ version: InMemoryRedis.Version) -> Bool {
        if isEmpty || maxDeletedID == .zero { return false }
        if !version.isAtLeast7_2, firstID > maxDeletedID { return false }
        return start <= maxDeletedID
    }

    /// Returns how many entries with ids up to `id` were ever added; `nil` if the server cannot tell.
    func entriesRead(upTo id: StreamID, _ version: InMemoryRedis.Version) -> Int? {
        if entriesAdded == 0 { return 0 }
        if isEmpty, id <= lastID { return entriesAdded }
        if version.isAtLeast7_2, id != .zero, id < maxDeletedID { return nil }
        if id == lastID { return entriesAdded }
        if id > lastID { return nil }
        if maxDeletedID == .zero || maxDeletedID < firstID {
            if id < firstID { return entriesAdded &- count }
            if id == firstID { return entriesAdded &- count &+ 1 }
        }
        return nil
    }

    /// Counts an entry that the group reads.
    func countRead(_ id: StreamID, by group: MessageGroup, _ version: InMemoryRedis.Version) {
        let start = version.isAtLeast7_2 ? group.lastID : id
        // Entries may have been trimmed before the group has read them.
        let hasGap = version.isAtLeast7_2 && group.lastID < firstID
        if let read = group.entriesRead, !hasGap, !hasTombstones(from: start, version) {
            group.entriesRead = read &+ 1
        } else if entriesAdded != 0 {
            group.entriesRead = entriesRead(upTo: id, version)
        }
    }

    /// Returns how many entries the group has not read; `nil` if the server cannot tell.
    func lag(of group: MessageGroup, _ version: InMemoryRedis.Version) -> Int? {
        if entriesAdded == 0 { return 0 }
        if version == .redis8_2 {
            if isEmpty { return 0 }
            if group.lastID < firstID, maxDeletedID < firstID { return count }
        }
        if let read = group.entriesRead, !hasTombstones(from: group.lastID, version) { return entriesAdded &- read }
        return entriesRead(upTo: group.lastID, version).map { entriesAdded &- $0 }
    }
}
