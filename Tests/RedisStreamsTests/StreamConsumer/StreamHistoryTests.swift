import Testing

@testable import RedisStreams

/// What probes of a stream mean to a consumer that reads it after an id.
@Suite struct StreamHistoryTests {
    @Test func `A stream that never existed is waited for, and one that existed is missing`() {
        var history = StreamHistory()
        #expect(history.compare(nil, at: id("5-0")) == .sound)
        history.read(messageBatch(["6-0"]))
        #expect(history.compare(nil, at: id("6-0")) == .broken(.missing))
    }

    @Test func `A stream that ends before the position has regressed, unless the position lies in the future`() {
        var chosen = StreamHistory(isReached: false)
        #expect(chosen.compare(stream(last: "5-0"), at: id("100-0")) == .sound)
        chosen.read(messageBatch(["100-0"]))
        #expect(chosen.compare(stream(last: "5-0"), at: id("100-0")) == .broken(.regressed))
        var known = StreamHistory()
        #expect(known.compare(stream(last: "5-0"), at: id("100-0")) == .broken(.regressed))
        #expect(known.compare(stream(last: "100-0"), at: id("100-0")) == .sound)
    }

    @Test func `A consumer that keeps its position reports each discontinuity once, until the stream is sound`() {
        var history = StreamHistory(isKnown: true)
        #expect(history.compare(stream(last: "5-0"), at: id("9-0")) == .broken(.regressed))
        history.stay(despite: .regressed)
        #expect(history.compare(stream(last: "6-0"), at: id("9-0")) == .sound)
        #expect(history.compare(nil, at: id("9-0")) == .broken(.missing))
        history.stay(despite: .missing)
        #expect(history.compare(nil, at: id("9-0")) == .sound)
        #expect(history.compare(stream(last: "10-0", entries: "9-0", "10-0"), at: id("9-0")) == .sound)
        #expect(history.compare(stream(last: "5-0"), at: id("9-0")) == .broken(.regressed))
    }

    @Test(arguments: [
        // The entry at 5-0 is gone, with others before and after it, and nothing was deleted: a server has lost it.
        ("1-0", "9-0", "0-0", false, true), ("1-0", "9-0", "4-0", false, true),
        // The entry may have been deleted or trimmed.
        ("1-0", "9-0", "5-0", false, false), ("1-0", "9-0", "8-0", false, false), ("6-0", "9-0", "0-0", false, false),
        // Some servers trim acknowledged entries, also between others.
        ("1-0", "9-0", "0-0", true, false),
    ])
    func `A missing entry is a discontinuity only if nobody can have deleted or trimmed it`(
        first: String,
        last: String,
        deleted: String,
        mayHaveHoles: Bool,
        isDiscontinuity: Bool
    ) {
        var history = StreamHistory()
        history.read(messageBatch(["5-0"]))
        var probe = stream(last: last, entries: first, last, added: 100, deleted: deleted)
        probe.mayHaveHoles = mayHaveHoles
        probe.absentIDs = [id("5-0")]
        #expect(history.compare(probe, at: id("5-0")) == (isDiscontinuity ? .broken(.diverged) : .sound))
        probe.absentIDs = []
        var second = StreamHistory(isKnown: true, isEntry: true)
        #expect(second.compare(probe, at: id("5-0")) == .sound)
    }

    @Test func `The position at the last probe reveals what a server lost while the consumer read on`() {
        var history = StreamHistory(isKnown: true)
        history.read(messageBatch(["5-0"]))
        #expect(history.compare(stream(last: "5-0", entries: "1-0", "5-0", added: 5), at: id("5-0")) == .sound)
        history.read(messageBatch(["9-0"]))
        #expect(history.landmarks(at: id("9-0")) == ids("5-0", "9-0"))
        var probe = stream(last: "9-0", entries: "1-0", "9-0", added: 6)
        probe.absentIDs = [id("5-0")]
        #expect(history.compare(probe, at: id("9-0")) == .broken(.diverged))
        #expect(history.lostID == id("5-0"))
    }

    @Test func `Redis 6.2 does not report deletions, so a missing entry proves nothing`() {
        var history = StreamHistory(isKnown: true, isEntry: true)
        var probe = stream(last: "9-0", entries: "1-0", "9-0")
        probe.absentIDs = [id("5-0")]
        #expect(!probe.couldLack(id("5-0")))
        #expect(history.compare(probe, at: id("5-0")) == .sound)
    }

    @Test func `A counter of added entries that goes down means a discontinuity`() {
        var history = StreamHistory(isKnown: true, isEntry: true)
        #expect(history.compare(stream(last: "5-0", entries: "1-0", "5-0", added: 5), at: id("5-0")) == .sound)
        history.read(messageBatch(["6-0", "7-0"]))
        var same = history
        #expect(same.compare(stream(last: "7-0", entries: "1-0", "7-0", added: 7), at: id("7-0")) == .sound)
        let recreated = stream(last: "9-0", entries: "8-0", "9-0", added: 2)
        #expect(history.compare(recreated, at: id("7-0")) == .broken(.regressed))
    }

    @Test func `Entries trimmed before they were read are counted, entries trimmed afterwards are not`() {
        var history = StreamHistory(isKnown: true, isEntry: true)
        #expect(history.compare(stream(last: "5-0", entries: "1-0", "5-0", added: 5), at: id("5-0")) == .sound)
        // 6 to 9 are gone, 10 to 12 wait; 1 to 5 were read.
        let overtaken = stream(last: "12-0", entries: "10-0", "12-0", length: 3, added: 12)
        #expect(history.compare(overtaken, at: id("5-0")) == .lost(count: 4, after: id("5-0"), before: id("10-0")))
        #expect(history.compare(overtaken, at: id("5-0")) == .sound, "a loss is reported once")
        history.read(messageBatch(["10-0", "11-0", "12-0"]))
        let trimmed = stream(last: "12-0", length: 0, added: 12)
        #expect(history.compare(trimmed, at: id("12-0")) == .sound)
        // 13 was added and removed.
        let gone = stream(last: "13-0", length: 0, added: 13)
        #expect(history.compare(gone, at: id("12-0")) == .lost(count: 1, after: id("12-0"), before: id("13-1")))
    }

    @Test func `While the number of unread entries is unknown, no loss is reported, and it is reported later`() {
        var history = StreamHistory(isKnown: true, isEntry: true)
        #expect(history.compare(stream(last: "5-0", entries: "1-0", "5-0", added: 5), at: id("5-0")) == .sound)
        history.read(messageBatch(["8-0"]))
        // In the middle of the stream: 6 and 7 are gone.
        #expect(history.compare(stream(last: "9-0", entries: "8-0", "9-0", added: 9), at: id("8-0")) == .sound)
        history.read(messageBatch(["9-0"]))
        let found = history.compare(stream(last: "9-0", entries: "8-0", "9-0", added: 9), at: id("9-0"))
        #expect(found == .lost(count: 2, after: id("5-0"), before: id("9-1")))
    }

    @Test func `Without a counter of added entries, a last id above the last entry means a loss`() {
        var history = StreamHistory(isKnown: true, isEntry: true)
        let probe = stream(last: "9-0", entries: "1-0", "5-0")
        #expect(history.compare(probe, at: id("5-0")) == .lost(count: nil, after: id("5-0"), before: id("9-1")))
        #expect(history.compare(probe, at: id("5-0")) == .sound)
    }

    @Test(arguments: [
        // The stream has what was read.
        (["5-0", "6-0", "7-0", "8-0", "9-0"], ["8-0", "9-0"]),
        // From the first difference on nothing is filtered out: an additional entry, or a missing one.
        (["5-0", "5-1", "6-0", "7-0"], ["5-1", "6-0", "7-0"]), (["5-0", "7-0", "8-0"], ["7-0", "8-0"]),
        // The first entries were trimmed, or are older than the ids that are kept.
        (["6-0", "7-0", "8-0"], ["8-0"]), (["4-1", "4-2", "5-0", "6-0"], ["4-1", "4-2"]),
    ])
    func `A consumer that goes back filters out what it has read, as long as the stream agrees`(
        there: [String],
        delivered: [String]
    ) {
        for size in 1...there.count {
            var history = StreamHistory()
            history.read(messageBatch(["3-0", "5-0", "6-0"]))
            history.read(messageBatch(["7-0", "8-0"]))
            history.rewind(to: id("4-0"), filteringUpTo: id("7-0"))
            var kept: [StreamID] = []
            for start in stride(from: 0, to: there.count, by: size) {
                let part = Array(there[start..<min(start + size, there.count)])
                kept += history.filteringSeen(messageBatch(part)).map(\.id)
            }
            #expect(kept == delivered.map { id($0) })
        }
    }

    @Test func `About the last few thousand ids are kept`() {
        var seen = SeenIDs()
        for start in stride(from: 1, through: 10_000, by: 100) {
            seen.append(messageBatch((start..<start + 100).map { "\($0)-0" }))
        }
        #expect(seen.contains(id("10000-0")))
        #expect(!seen.contains(id("5000-0")))
        #expect((SeenIDs.limit..<SeenIDs.limit + 100).contains(seen.ids(above: .zero, upTo: .max).count))
    }
}

private func stream(
    last: String,
    entries: String...,
    length: Int = 1,
    added: Int? = nil,
    deleted: String? = nil
) -> StreamObservation {
    StreamObservation(
        length: length,
        lastID: id(last),
        firstEntryID: entries.first.map { id($0) },
        lastEntryID: entries.last.map { id($0) },
        entriesAdded: added,
        maxDeletedID: (deleted ?? (added == nil ? nil : "0-0")).map { id($0) }
    )
}
