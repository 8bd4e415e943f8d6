import Testing

@testable import RedisStreams

/// What looks at a stream mean to somebody who reads it behind an id.
@Suite struct StreamHistoryTests {
    @Test func `A stream that has not been there yet is waited for, and one that was is missed`() {
        var history = StreamHistory()
        #expect(history.compare(nil, at: id("5-0")) == .sound)
        history.read(messageBatch(["6-0"]))
        #expect(history.compare(nil, at: id("6-0")) == .broken(.missing))
    }

    @Test func `A stream that ends before the position has regressed, unless the position is a time to come`() {
        var chosen = StreamHistory(isReached: false)
        #expect(chosen.compare(stream(last: "5-0"), at: id("100-0")) == .sound)
        chosen.read(messageBatch(["100-0"]))
        #expect(chosen.compare(stream(last: "5-0"), at: id("100-0")) == .broken(.regressed))
        var known = StreamHistory()
        #expect(known.compare(stream(last: "5-0"), at: id("100-0")) == .broken(.regressed))
        #expect(known.compare(stream(last: "100-0"), at: id("100-0")) == .sound)
    }

    @Test func `A reader that stays where it is says each thing once, until all is well again`() {
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
        // The entry at 5-0 is gone, with others before and behind it, and nothing was deleted: a server has lost it.
        ("1-0", "9-0", "0-0", false, true), ("1-0", "9-0", "4-0", false, true),
        // It may have been deleted, or trimmed.
        ("1-0", "9-0", "5-0", false, false), ("1-0", "9-0", "8-0", false, false), ("6-0", "9-0", "0-0", false, false),
        // Some servers trim what was acknowledged, wherever it stands.
        ("1-0", "9-0", "0-0", true, false),
    ])
    func `An entry that is gone is news only if nobody can have taken it`(
        first: String,
        last: String,
        deleted: String,
        mayHaveHoles: Bool,
        isNews: Bool
    ) {
        var history = StreamHistory()
        history.read(messageBatch(["5-0"]))
        var look = stream(last: last, entries: first, last, added: 100, deleted: deleted)
        look.mayHaveHoles = mayHaveHoles
        look.absentIDs = [id("5-0")]
        #expect(history.compare(look, at: id("5-0")) == (isNews ? .broken(.diverged) : .sound))
        look.absentIDs = []
        var second = StreamHistory(isKnown: true, isEntry: true)
        #expect(second.compare(look, at: id("5-0")) == .sound)
    }

    @Test func `What was lost while reading went on is noticed by the position at the look before`() {
        var history = StreamHistory(isKnown: true)
        history.read(messageBatch(["5-0"]))
        #expect(history.compare(stream(last: "5-0", entries: "1-0", "5-0", added: 5), at: id("5-0")) == .sound)
        history.read(messageBatch(["9-0"]))
        #expect(history.landmarks(at: id("9-0")) == ids("5-0", "9-0"))
        var look = stream(last: "9-0", entries: "1-0", "9-0", added: 6)
        look.absentIDs = [id("5-0")]
        #expect(history.compare(look, at: id("9-0")) == .broken(.diverged))
        #expect(history.lostID == id("5-0"))
    }

    @Test func `Redis 6.2 does not tell what was deleted, so that an entry that is gone says nothing`() {
        var history = StreamHistory(isKnown: true, isEntry: true)
        var look = stream(last: "9-0", entries: "1-0", "9-0")
        look.absentIDs = [id("5-0")]
        #expect(!look.couldLack(id("5-0")))
        #expect(history.compare(look, at: id("5-0")) == .sound)
    }

    @Test func `A counter of entries that goes back is another stream's`() {
        var history = StreamHistory(isKnown: true, isEntry: true)
        #expect(history.compare(stream(last: "5-0", entries: "1-0", "5-0", added: 5), at: id("5-0")) == .sound)
        history.read(messageBatch(["6-0", "7-0"]))
        var same = history
        #expect(same.compare(stream(last: "7-0", entries: "1-0", "7-0", added: 7), at: id("7-0")) == .sound)
        let anew = stream(last: "9-0", entries: "8-0", "9-0", added: 2)
        #expect(history.compare(anew, at: id("7-0")) == .broken(.regressed))
    }

    @Test func `What was trimmed before it was read is counted, what was trimmed afterwards is not`() {
        var history = StreamHistory(isKnown: true, isEntry: true)
        #expect(history.compare(stream(last: "5-0", entries: "1-0", "5-0", added: 5), at: id("5-0")) == .sound)
        // 6 to 9 are gone, 10 to 12 wait; 1 to 5 were read.
        let overtaken = stream(last: "12-0", entries: "10-0", "12-0", length: 3, added: 12)
        #expect(history.compare(overtaken, at: id("5-0")) == .lost(count: 4, after: id("5-0"), before: id("10-0")))
        #expect(history.compare(overtaken, at: id("5-0")) == .sound, "it is told once")
        history.read(messageBatch(["10-0", "11-0", "12-0"]))
        let trimmed = stream(last: "12-0", length: 0, added: 12)
        #expect(history.compare(trimmed, at: id("12-0")) == .sound)
        // 13 came and went.
        let gone = stream(last: "13-0", length: 0, added: 13)
        #expect(history.compare(gone, at: id("12-0")) == .lost(count: 1, after: id("12-0"), before: id("13-1")))
    }

    @Test func `While it cannot be known how much is to be read, nothing is counted, and it is made up for later`() {
        var history = StreamHistory(isKnown: true, isEntry: true)
        #expect(history.compare(stream(last: "5-0", entries: "1-0", "5-0", added: 5), at: id("5-0")) == .sound)
        history.read(messageBatch(["8-0"]))
        // In the middle of the stream: 6 and 7 are gone.
        #expect(history.compare(stream(last: "9-0", entries: "8-0", "9-0", added: 9), at: id("8-0")) == .sound)
        history.read(messageBatch(["9-0"]))
        let found = history.compare(stream(last: "9-0", entries: "8-0", "9-0", added: 9), at: id("9-0"))
        #expect(found == .lost(count: 2, after: id("5-0"), before: id("9-1")))
    }

    @Test func `Where nobody counts entries, a stream that goes further than its entries has lost some`() {
        var history = StreamHistory(isKnown: true, isEntry: true)
        let look = stream(last: "9-0", entries: "1-0", "5-0")
        #expect(history.compare(look, at: id("5-0")) == .lost(count: nil, after: id("5-0"), before: id("9-1")))
        #expect(history.compare(look, at: id("5-0")) == .sound)
    }

    @Test(arguments: [
        // All as it was.
        (["5-0", "6-0", "7-0", "8-0", "9-0"], ["8-0", "9-0"]),
        // From the first difference on nothing is left out: an entry more, or one that is not there.
        (["5-0", "5-1", "6-0", "7-0"], ["5-1", "6-0", "7-0"]), (["5-0", "7-0", "8-0"], ["7-0", "8-0"]),
        // The first ones were trimmed, or are older than what is remembered.
        (["6-0", "7-0", "8-0"], ["8-0"]), (["4-1", "4-2", "5-0", "6-0"], ["4-1", "4-2"]),
    ])
    func `A reader that goes back leaves out what it has seen, as long as the stream agrees`(
        there: [String],
        handedOut: [String]
    ) {
        for size in 1...there.count {
            var history = StreamHistory()
            history.read(messageBatch(["3-0", "5-0", "6-0"]))
            history.read(messageBatch(["7-0", "8-0"]))
            history.rewind(to: id("4-0"), leavingOutUpTo: id("7-0"))
            var kept: [StreamID] = []
            for start in stride(from: 0, to: there.count, by: size) {
                let part = Array(there[start..<min(start + size, there.count)])
                kept += history.leavingOutSeen(messageBatch(part)).map(\.id)
            }
            #expect(kept == handedOut.map { id($0) })
        }
    }

    @Test func `About the last few thousand ids are remembered`() {
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
