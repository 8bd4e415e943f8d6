import Testing

@testable import RedisStreams

@Suite struct GroupMonitorTests {
    @Test func `The watermark is before the lowest pending entry, or at the last delivered entry`() {
        var monitor = GroupMonitor()
        #expect(monitor.watermark == nil)
        monitor.created(after: id("3-0"))
        #expect(monitor.watermark == id("3-0"))
        _ = monitor.observe(group("9-0"), stream(), lowestPending: nil)
        #expect(monitor.watermark == id("9-0"))
        _ = monitor.observe(group("9-0"), stream(), lowestPending: id("5-2"))
        #expect(monitor.watermark == id("5-1"))
        _ = monitor.observe(group("9-0"), stream(), lowestPending: id("5-0"))
        #expect(monitor.watermark == id("4-18446744073709551615"))
        _ = monitor.observe(group("9-0"), stream(), lowestPending: id("10-0"))
        #expect(monitor.watermark == id("9-0"), "an entry delivered after the snapshot is not acknowledged")
        _ = monitor.observe(group("9-0"), stream(), lowestPending: .zero)
        #expect(monitor.watermark == .zero)
    }

    @Test func `Entries that were trimmed unread are reported once, with their number`() {
        var monitor = GroupMonitor()
        let group = group("5-0", read: 5)
        // Of 6 to 20, 6 to 10 were trimmed.
        let first = monitor.observe(group, stream(10, "11-0", added: 20), lowestPending: nil)
        #expect(first == GroupMonitor.Trimmed(count: 5, after: id("5-0"), before: id("11-0")))
        let again = monitor.observe(group, stream(10, "11-0", added: 20), lowestPending: nil)
        #expect(again == nil)
        let more = monitor.observe(group, stream(8, "13-0", added: 20), lowestPending: nil)
        #expect(more == GroupMonitor.Trimmed(count: 2, after: id("5-0"), before: id("13-0")), "only new ones")
    }

    @Test func `A gap after another position is another gap`() {
        var monitor = GroupMonitor()
        let trimmed = stream(10, "11-0", added: 20)
        _ = monitor.observe(group("5-0", read: 5), trimmed, lowestPending: nil)
        let next = monitor.observe(group("8-0", read: 8), trimmed, lowestPending: nil)
        #expect(next == GroupMonitor.Trimmed(count: 2, after: id("8-0"), before: id("11-0")))
        monitor.created(after: id("8-0"))
        let first = monitor.observe(group("8-0", read: 8), trimmed, lowestPending: nil)
        #expect(first?.count == 2, "for a new group the gap is new")
    }

    @Test func `If the server cannot count, nothing is reported: entries may have been read and deleted`() {
        var monitor = GroupMonitor()
        let uncounted = monitor.observe(group("5-0", read: 5), stream(10, "11-0", added: nil), lowestPending: nil)
        #expect(uncounted == nil)
        let unread = monitor.observe(group("5-0"), stream(10, "11-0", added: 20), lowestPending: nil)
        #expect(unread == nil)
    }

    @Test func `In a stream that was emptied unread, the gap ends before the next id`() {
        var monitor = GroupMonitor()
        let empty = stream(0, nil, added: 20)
        let gap = monitor.observe(group("5-0", read: 5), empty, lowestPending: nil)
        #expect(gap == GroupMonitor.Trimmed(count: 15, after: id("5-0"), before: id("20-1")))
    }

    @Test(
        arguments: [
            // No entry was deleted after the position.
            ("10-0", 10, "11-0"),
            // One was, but entries before it exist: it was deleted, not trimmed.
            ("5-0", 5, "3-0"),
        ] as [(String, Int, String)]
    )
    func `Entries that were read, or deleted by id, are not reported`(delivered: String, read: Int, first: String) {
        var monitor = GroupMonitor()
        let gap = monitor.observe(group(delivered, read: read), stream(10, first, added: 20), lowestPending: nil)
        #expect(gap == nil)
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
