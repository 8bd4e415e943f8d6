import Testing

@testable import RedisStreams

@Suite struct FlushLedgerTests {
    @Test func `There is nothing to wait for when every message has its outcome`() {
        var ledger = FlushLedger()
        #expect(ledger.flush(unsentCount: 0) == nil)
        let batch = ledger.sent(3)
        ledger.settled(batch)
        #expect(ledger.flush(unsentCount: 0) == nil)
        #expect(!ledger.isUrgent)
    }

    @Test func `A flush waits for batches that were sent before, in any order of their replies, and for no later ones`()
    {
        var ledger = FlushLedger()
        let batches = [ledger.sent(2), ledger.sent(1)]
        let flush = ledger.flush(unsentCount: 0)
        let later = ledger.sent(5)
        #expect(!ledger.isUrgent)
        ledger.settled(batches[1])
        #expect(ledger.finished().isEmpty)
        ledger.settled(later)
        #expect(ledger.finished().isEmpty)
        ledger.settled(batches[0])
        #expect(ledger.finished() == [flush])
        #expect(ledger.finished().isEmpty)
    }

    @Test func `A flush is urgent until its messages are sent`() {
        var ledger = FlushLedger()
        let flush = ledger.flush(unsentCount: 3)
        #expect(ledger.isUrgent)
        let first = ledger.sent(2)
        #expect(ledger.isUrgent)
        let second = ledger.sent(2)
        #expect(!ledger.isUrgent)
        ledger.settled(first)
        #expect(ledger.finished().isEmpty)
        ledger.settled(second)
        #expect(ledger.finished() == [flush])
    }

    @Test func `No flush waits for a cancelled message`() {
        var ledger = FlushLedger()
        let before = ledger.flush(unsentCount: 1)
        let behind = ledger.flush(unsentCount: 2)
        ledger.cancelled(unsentBefore: 1)
        let batch = ledger.sent(1)
        ledger.settled(batch)
        #expect(ledger.finished() == [before, behind])
    }

    @Test func `After an abort, no flush waits for messages that are not sent`() {
        var ledger = FlushLedger()
        let batch = ledger.sent(1)
        let flush = ledger.flush(unsentCount: 10)
        ledger.abort()
        #expect(ledger.finished().isEmpty)
        ledger.settled(batch)
        #expect(ledger.finished() == [flush])
    }
}
