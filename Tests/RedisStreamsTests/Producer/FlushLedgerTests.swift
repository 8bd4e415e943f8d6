import Testing

@testable import RedisStreams

@Suite struct FlushLedgerTests {
    @Test func `Nothing is waited for when everything has its outcome`() {
        var ledger = FlushLedger()
        #expect(ledger.flush(behind: 0) == nil)
        let batch = ledger.sent(3)
        ledger.settled(batch)
        #expect(ledger.flush(behind: 0) == nil)
        #expect(!ledger.isUrgent)
    }

    @Test func `What was sent before is waited for, in whatever order it comes back, and nothing that was sent later`()
    {
        var ledger = FlushLedger()
        let batches = [ledger.sent(2), ledger.sent(1)]
        let flush = ledger.flush(behind: 0)
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

    @Test func `What was not sent is urgent until it is`() {
        var ledger = FlushLedger()
        let flush = ledger.flush(behind: 3)
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

    @Test func `A message that is withdrawn is not waited for, whoever stood before it or behind`() {
        var ledger = FlushLedger()
        let before = ledger.flush(behind: 1)
        let behind = ledger.flush(behind: 2)
        ledger.withdrawn(behind: 1)
        let batch = ledger.sent(1)
        ledger.settled(batch)
        #expect(ledger.finished() == [before, behind])
    }

    @Test func `At the end nobody waits for what is not sent`() {
        var ledger = FlushLedger()
        let batch = ledger.sent(1)
        let flush = ledger.flush(behind: 10)
        ledger.abort()
        #expect(ledger.finished().isEmpty)
        ledger.settled(batch)
        #expect(ledger.finished() == [flush])
    }
}
