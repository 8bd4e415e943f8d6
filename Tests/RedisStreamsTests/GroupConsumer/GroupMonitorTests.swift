import Testing

@testable import RedisStreams

@Suite struct GroupMonitorTests {
    @Test func `Up to the lowest pending entry everything was done with, or else up to the last delivered`() {
        var watch = GroupMonitor()
        #expect(watch.watermark == nil)
        watch.created(after: id("3-0"))
        #expect(watch.watermark == id("3-0"))
        _ = watch.observe(group("9-0"), stream(), lowestPending: nil)
        #expect(watch.watermark == id("9-0"))
        _ = watch.observe(group("9-0"), stream(), lowestPending: id("5-2"))
        #expect(watch.watermark == id("5-1"))
        _ = watch.observe(group("9-0"), stream(), lowestPending: id("5-0"))
        #expect(watch.watermark == id("4-18446744073709551615"))
        _ = watch.observe(group("9-0"), stream(), lowestPending: id("10-0"))
        #expect(watch.watermark == id("9-0"), "what was delivered between the two looks is not done with")
        _ = watch.observe(group("9-0"), stream(), lowestPending: .zero)
        #expect(watch.watermark == .zero)
    }

    @Test func `Entries that were trimmed before they were read are told once, with their number`() {
        var watch = GroupMonitor()
        let group = group("5-0", read: 5)
        // Of 6 to 20, 6 to 10 are gone.
        let first = watch.observe(group, stream(10, "11-0", added: 20), lowestPending: nil)
        #expect(first == GroupMonitor.Trimmed(count: 5, after: id("5-0"), before: id("11-0")))
        let again = watch.observe(group, stream(10, "11-0", added: 20), lowestPending: nil)
        #expect(again == nil)
        let more = watch.observe(group, stream(8, "13-0", added: 20), lowestPending: nil)
        #expect(more == GroupMonitor.Trimmed(count: 2, after: id("5-0"), before: id("13-0")), "only what is new")
    }

    @Test func `A gap behind another position is another gap`() {
        var watch = GroupMonitor()
        let trimmed = stream(10, "11-0", added: 20)
        _ = watch.observe(group("5-0", read: 5), trimmed, lowestPending: nil)
        let next = watch.observe(group("8-0", read: 8), trimmed, lowestPending: nil)
        #expect(next == GroupMonitor.Trimmed(count: 2, after: id("8-0"), before: id("11-0")))
        watch.created(after: id("8-0"))
        let anew = watch.observe(group("8-0", read: 8), trimmed, lowestPending: nil)
        #expect(anew?.count == 2, "to a new group it is news")
    }

    @Test func `Where the server cannot count, nothing is told: it may have been read and deleted`() {
        var watch = GroupMonitor()
        let uncounted = watch.observe(group("5-0", read: 5), stream(10, "11-0", added: nil), lowestPending: nil)
        #expect(uncounted == nil)
        let unread = watch.observe(group("5-0"), stream(10, "11-0", added: 20), lowestPending: nil)
        #expect(unread == nil)
    }

    @Test func `A stream that was emptied unread is told by the id that comes next`() {
        var watch = GroupMonitor()
        let empty = stream(0, nil, added: 20)
        let told = watch.observe(group("5-0", read: 5), empty, lowestPending: nil)
        #expect(told == GroupMonitor.Trimmed(count: 15, after: id("5-0"), before: id("20-1")))
    }

    @Test(
        arguments: [
            // Nothing was deleted behind the position.
            ("10-0", 10, "11-0"),
            // Something was, but the entries before it are there: it was deleted, not trimmed.
            ("5-0", 5, "3-0"),
        ] as [(String, Int, String)]
    )
    func `What was read, or deleted by name, is not told`(delivered: String, read: Int, first: String) {
        var watch = GroupMonitor()
        let told = watch.observe(group(delivered, read: read), stream(10, first, added: 20), lowestPending: nil)
        #expect(told == nil)
    }

    private func group(_ delivered: String, read: Int? = nil) -> (delivered: StreamID, read: Int?) {
        (id(delivered), read)
    }

    private func stream(_ length: Int = 1, _ first: String? = nil, added: Int? = nil) -> Stream {
        Stream(length: length, first: first.map { id($0) }, added: added)
    }
}

private struct Stream {
    let length: Int
    let first: StreamID?
    let added: Int?
}

extension GroupMonitor {
    fileprivate mutating func observe(
        _ group: (delivered: StreamID, read: Int?),
        _ stream: Stream,
        lowestPending: StreamID?
    ) -> Trimmed? {
        observe(
            GroupSnapshot(
                lastDelivered: group.delivered,
                lowestPending: lowestPending,
                entriesRead: group.read,
                entriesAdded: stream.added,
                length: stream.length,
                first: stream.first,
                lastGenerated: id("20-0")
            )
        )
    }
}
