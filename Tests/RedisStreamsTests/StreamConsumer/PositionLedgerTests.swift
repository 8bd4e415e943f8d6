import Testing

@testable import RedisStreams

/// How far messages were handled, and which positions are due to be saved.
@Suite struct PositionLedgerTests {
    @Test func `The position of a handled message is due until it is saved`() {
        var ledger = PositionLedger()
        ledger.track("a", name: "audit", at: SavedPosition(id: id("3-0"), epoch: 2), isSaved: true)
        expect(ledger.hasDue, equals: false)
        ledger.delivered(id("5-0"), of: "a")
        expect(ledger.hasDue, equals: false)
        expect(ledger.handled(id("4-0"), of: "a"), equals: 1)
        expect(ledger.handled(id("5-0"), of: "a"), equals: 2)
        let saves = ledger.takeDue()
        #expect(saves == [save("5-0", epoch: 2)])
        expect(ledger.hasDue, equals: true)
        ledger.saved(saves[0], epoch: 2)
        expect(ledger.hasDue, equals: false)
        expect(ledger.handled(id("6-0"), of: "a"), equals: 1)
        expect(ledger.handled(id("1-0"), of: "other"), equals: 2)
    }

    @Test func `The start is due at once if Redis does not have it`() {
        var ledger = PositionLedger()
        ledger.track("a", name: "audit", at: SavedPosition(id: id("3-0"), epoch: 0), isSaved: false)
        expect(ledger.takeDue(), equals: [save("3-0", epoch: 0)])
    }

    @Test func `A skipped entry counts as soon as the messages delivered before it are handled`() {
        var ledger = PositionLedger()
        ledger.track("a", name: "audit", at: SavedPosition(id: id("3-0"), epoch: 0), isSaved: true)
        expect(ledger.skipped(id("4-0"), of: "a"), equals: true)
        let first = ledger.takeDue()
        #expect(first == [save("4-0", epoch: 0)])
        ledger.saved(first[0], epoch: 0)
        ledger.delivered(id("6-0"), of: "a")
        expect(ledger.skipped(id("7-0"), of: "a"), equals: false)
        expect(ledger.skipped(id("8-0"), of: "a"), equals: false)
        _ = ledger.handled(id("5-0"), of: "a")
        expect(ledger.takeDue(), equals: [save("5-0", epoch: 0)])
        _ = ledger.handled(id("6-0"), of: "a")
        expect(ledger.takeDue(), equals: [save("8-0", epoch: 0)])
    }

    @Test func `Each of several streams has its position, also when one is dropped`() {
        var ledger = PositionLedger()
        for stream in ["a", "b", "c"] as [StreamKey] {
            ledger.track(stream, name: "audit", at: SavedPosition(id: .zero, epoch: 0), isSaved: true)
        }
        ledger.drop("a")
        _ = ledger.handled(id("1-0"), of: "a")
        _ = ledger.handled(id("2-0"), of: "b")
        _ = ledger.handled(id("3-0"), of: "c")
        expect(Set(ledger.takeDue().map { "\($0.stream) \($0.position.id)" }), equals: ["b 2-0", "c 3-0"])
    }

    @Test func `A move back waits for the messages that were delivered before it`() {
        var ledger = PositionLedger()
        ledger.track("a", name: "audit", at: SavedPosition(id: .zero, epoch: 0), isSaved: true)
        ledger.delivered(id("100-0"), of: "a")
        _ = ledger.handled(id("99-0"), of: "a")
        ledger.moved(to: .zero, in: "a")
        expect(ledger.takeDue(), equals: [save("99-0", epoch: 0)])
        ledger.delivered(id("5-0"), of: "a")
        _ = ledger.handled(id("100-0"), of: "a")
        let moved = ledger.takeDue()
        #expect(moved == [save("0-0", epoch: 0, moves: 1)])
        _ = ledger.handled(id("5-0"), of: "a")
        ledger.saved(moved[0], epoch: 1)
        expect(ledger.takeDue(), equals: [save("5-0", epoch: 1, moves: 1, isMove: false)])
    }

    @Test func `A move applies at once when everything was handled, and a second move replaces it`() {
        var ledger = PositionLedger()
        ledger.track("a", name: "audit", at: SavedPosition(id: id("9-0"), epoch: 4), isSaved: true)
        ledger.moved(to: id("2-0"), in: "a")
        let first = ledger.takeDue()
        #expect(first == [save("2-0", epoch: 4, moves: 1)])
        ledger.moved(to: .zero, in: "a")
        ledger.saved(first[0], epoch: 5)
        expect(ledger.takeDue(), equals: [save("0-0", epoch: 5, moves: 2)])
    }

    @Test func `A position that another consumer has moved stays until this one moves, in the newer epoch`() {
        var ledger = PositionLedger()
        ledger.track("a", name: "audit", at: SavedPosition(id: id("9-0"), epoch: 1), isSaved: true)
        _ = ledger.handled(id("10-0"), of: "a")
        let stale = ledger.takeDue()
        ledger.saved(stale[0], epoch: 3)
        expect(ledger.hasDue, equals: false)
        ledger.moved(to: .zero, in: "a")
        let move = ledger.takeDue()
        ledger.saved(move[0], epoch: 3)
        _ = ledger.handled(id("1-0"), of: "a")
        expect(ledger.takeDue(), equals: [save("1-0", epoch: 3, moves: 1, isMove: false)])
    }

    @Test(arguments: [
        ("orders", "{orders}:position:audit"), ("{eu}:orders", "{eu}:orders:position:audit"),
        ("orders:{eu}:x", "orders:{eu}:x:position:audit"), ("{}orders", "{{}orders}:position:audit"),
        ("a}b", "{a}b}:position:audit"),
    ])
    func `The key of a position is in the slot of its stream`(stream: String, key: String) {
        #expect(SavedPosition.key("audit", of: StreamKey(stream)).rawValue == key)
    }
}

private func save(_ position: String, epoch: Int, moves: Int = 0, isMove: Bool? = nil) -> PositionLedger.Save {
    PositionLedger.Save(
        stream: "a",
        name: "audit",
        position: SavedPosition(id: id(position), epoch: epoch),
        isMove: isMove ?? (moves > 0),
        moves: moves
    )
}
