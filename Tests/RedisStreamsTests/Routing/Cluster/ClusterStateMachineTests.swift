import NIOCore
import Testing

@testable import RedisStreams

private func at(_ milliseconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .milliseconds(milliseconds) }
private func node(_ name: String) -> ServerAddress { .tcp(host: name, port: 7000) }
private func range(_ first: Int, _ last: Int, _ host: String) -> CLUSTER.SlotRange {
    .init(first: first, last: last, host: host, port: 7000)
}

@Suite struct SlotMapTests {
    @Test func `Each slot has the owner that a range names`() {
        let map = SlotMap([range(0, 99, "a"), range(100, 16_383, "b")], from: node("seed"))
        #expect(map[0] == node("a"))
        #expect(map[99] == node("a"))
        #expect(map[100] == node("b"))
        #expect(map[16_383] == node("b"))
        #expect(map.masters == [node("a"), node("b")])
    }

    @Test func `A slot in no range has no owner, and a node without a name is at the host that was asked`() {
        let map = SlotMap([range(5, 5, "")], from: .tcp(host: "asked", port: 1))
        #expect(map[4] == nil)
        #expect(map[5] == node("asked"))
    }

    @Test func `A map with one range for each slot is read, and more nodes than slots are not kept`() {
        var map = SlotMap((0..<16_384).map { range($0, $0, "n\($0)") }, from: node("seed"))
        #expect(map[16_383] == node("n16383"))
        map.move(3, to: node("one-too-many"))
        #expect(map[3] == node("n3"))
    }
}

@Suite struct ClusterStateMachineTests {
    private func machine() -> ClusterStateMachine { ClusterStateMachine(seeds: [node("s1"), node("s2")]) }

    @Test func `The first map is asked for at once, from the seeds`() {
        var machine = machine()
        #expect(machine.nextQuestion == nil)
        machine.needsMap(now: at(5), jitter: 1)
        #expect(machine.nextQuestion == at(5))
        let asked = machine.begin(now: at(5)) { $0 }
        #expect(asked == [node("s1"), node("s2")])
        #expect(machine.nextQuestion == nil, "one question at a time")
    }

    @Test func `Later maps are asked for a second apart, with jitter, and from the target of MOVED first`() {
        var machine = loaded(at: 0)
        machine.moved(0, to: node("c"), now: at(10), jitter: 0.5)
        #expect(machine.owner(of: 0) == node("c"), "the move counts at once")
        #expect(machine.nextQuestion == at(1050))
        let asked = machine.begin(now: at(1050)) { $0.reversed() }
        #expect(asked == [node("c"), node("b"), node("a"), node("s2"), node("s1")])
    }

    @Test func `All seeds are asked behind at most eight masters, and at most eight replicas last`() {
        let seeds = (0..<20).map { node("s\($0)") }
        var machine = ClusterStateMachine(seeds: seeds)
        _ = machine.begin(now: at(0)) { $0 }
        let ranges = (0..<20).map { number in
            var named = range(number, number, "m\(number)")
            named.replicas = [.init(host: "r\(number)", port: 7000), .init(host: "r0", port: 7000)]
            return named
        }
        _ = machine.loaded(ranges, from: seeds[0], now: at(0), jitter: 0)
        let asked = machine.begin(now: at(50_000)) { $0.reversed() }
        #expect(asked.prefix(8) == (12..<20).reversed().map { node("m\($0)") }[...])
        #expect(asked.dropFirst(8).prefix(20) == seeds.reversed()[...])
        #expect(asked.dropFirst(28) == (12..<20).reversed().map { node("r\($0)") }[...])
    }

    @Test func `A reason that comes while nodes are asked leads to another question`() {
        var machine = loaded(at: 0)
        machine.needsMap(now: at(10), jitter: 0)
        _ = machine.begin(now: at(1000)) { $0 }
        machine.needsMap(now: at(1001), jitter: 0)
        #expect(machine.nextQuestion == nil)
        _ = machine.loaded([range(0, 16_383, "a")], from: node("a"), now: at(1002), jitter: 0)
        #expect(machine.nextQuestion == at(2002))
    }

    @Test func `A move that was told after the question was asked wins over the answer, an older one does not`() {
        var machine = loaded(at: 0)
        machine.moved(1, to: node("c"), now: at(10), jitter: 0)
        _ = machine.begin(now: at(1000)) { $0 }
        machine.moved(2, to: node("d"), now: at(1001), jitter: 0)
        _ = machine.loaded([range(0, 16_383, "a")], from: node("a"), now: at(1002), jitter: 0)
        #expect(machine.owner(of: 1) == node("a"))
        #expect(machine.owner(of: 2) == node("d"))
    }

    @Test func `Without a reason the map is asked for after a minute, give or take a quarter`() {
        #expect(loaded(at: 0, jitter: 0).nextQuestion == at(45_000))
        #expect(loaded(at: 0, jitter: 1).nextQuestion == at(75_000))
    }

    @Test func `A node that two maps in a row do not name is given up`() {
        var machine = loaded(at: 0)
        var gone: [Set<ServerAddress>] = []
        for time in [Int64(50_000), 100_000, 150_000] {
            _ = machine.begin(now: at(time)) { $0 }
            let answer = [range(0, 16_383, "a")]
            let nodes: Set = [node("a"), node("b")]
            gone.append(machine.loaded(answer, from: node("a"), nodes: nodes, now: at(time), jitter: 0))
        }
        #expect(gone == [[], [node("b")], [node("b")]], "and again, while the owner keeps it")
        _ = machine.begin(now: at(200_000)) { $0 }
        let back = [range(0, 99, "a"), range(100, 16_383, "b")]
        #expect(machine.loaded(back, from: node("a"), nodes: [node("b")], now: at(200_000), jitter: 0) == [])
    }

    @Test func `A seed that no map names is given up as well`() {
        var machine = machine()
        var gone: [Set<ServerAddress>] = []
        for time in [Int64(0), 50_000] {
            _ = machine.begin(now: at(time)) { $0 }
            let nodes: Set = [node("s1"), node("a")]
            gone.append(
                machine.loaded([range(0, 1, "a")], from: node("s1"), nodes: nodes, now: at(time), jitter: 0)
            )
        }
        #expect(gone == [[], [node("s1")]])
    }

    @Test func `If no node answers, the owner is told why, and asks again after its delay`() {
        var machine = machine()
        machine.needsMap(now: at(0), jitter: 0)
        for attempt in 1...3 {
            _ = machine.begin(now: at(0)) { $0 }
            machine.failed(refused, now: at(0)) { .milliseconds(Int64(100 * $0)) }
            #expect(machine.nextQuestion == at(Int64(100 * attempt)))
        }
        #expect(machine.lastFailure?.code == .connectionRefused)
        _ = machine.begin(now: at(300)) { $0 }
        _ = machine.loaded([range(0, 1, "a")], from: node("a"), now: at(300), jitter: 0)
        #expect(machine.lastFailure == nil)
    }

    @Test func `Whether a node that refuses still serves a slot, only a later map tells`() {
        var machine = loaded(at: 0)
        #expect(machine.serves(0, node("b"), since: at(10)) == false, "the map names another one already")
        #expect(machine.serves(0, node("a"), since: at(10)) == nil)
        #expect(machine.serves(nil, node("a"), since: at(10)) == nil)
        _ = machine.begin(now: at(1000)) { $0 }
        machine.failed(refused, now: at(1001)) { _ in .zero }
        #expect(machine.serves(0, node("a"), since: at(10)) == nil, "no node was reached")
        _ = machine.begin(now: at(2000)) { $0 }
        machine.failed(RedisError(.authenticationFailed, ""), now: at(2001)) { _ in .zero }
        #expect(machine.serves(0, node("a"), since: at(10)) == true, "all nodes refuse")
        _ = machine.begin(now: at(3000)) { $0 }
        _ = machine.loaded([range(0, 16_383, "a")], from: node("a"), now: at(3001), jitter: 0)
        #expect(machine.serves(0, node("a"), since: at(2500)) == true)
        #expect(machine.serves(0, node("a"), since: at(3001)) == nil, "the map was asked for before")
        _ = machine.begin(now: at(4000)) { $0 }
        _ = machine.loaded([range(0, 16_383, "b")], from: node("b"), now: at(4001), jitter: 0)
        #expect(machine.serves(0, node("a"), since: at(3001)) == false)
        #expect(machine.serves(nil, node("a"), since: at(3001)) == false)
    }

    @Test func `Failures are worth a warning at once and then once a minute, and one line when they end`() {
        var machine = loaded(at: 0)
        func fail(at time: Int64) -> Int? {
            _ = machine.begin(now: at(time)) { $0 }
            machine.failed(refused, now: at(time)) { _ in .zero }
            return machine.takeWarning(now: at(time))
        }
        func answer(at time: Int64) -> Bool {
            _ = machine.begin(now: at(time)) { $0 }
            _ = machine.loaded([range(0, 1, "a")], from: node("a"), now: at(time), jitter: 0)
            return machine.takeRecovery()
        }
        #expect(machine.takeWarning(now: at(0)) == nil)
        #expect(!answer(at: 1000), "it never failed")
        let warnings = (1...30).map { fail(at: Int64($0) * 5000) }
        #expect(warnings.compactMap { $0 } == [1, 13, 25])
        #expect(answer(at: 151_000))
        #expect(!answer(at: 152_000))
        #expect(fail(at: 153_000) == nil, "the last warning was less than a minute ago")
        #expect(!answer(at: 154_000), "nobody was warned")
    }

    private func loaded(at time: Int64, jitter: Double = 0) -> ClusterStateMachine {
        var machine = machine()
        machine.needsMap(now: at(time), jitter: 0)
        _ = machine.begin(now: at(time)) { $0 }
        _ = machine.loaded(
            [range(0, 99, "a"), range(100, 16_383, "b")],
            from: node("a"),
            now: at(time),
            jitter: jitter
        )
        return machine
    }
}

@Suite struct RedirectBudgetTests {
    private let asked = node("a")

    private func moving(_ text: String) -> RedisError {
        guard let redirection = Redirection(serverText: text) else { return RedisError(.serverError, text) }
        return .slotMoving(redirection, command: "XADD")
    }

    @Test func `MOVED and ASK are followed five times`() {
        var budget = RedirectBudget()
        for _ in 0..<4 {
            #expect(budget.next(after: moving("MOVED 1 b:7000"), at: asked) == .sendTo(node("b")))
        }
        #expect(budget.next(after: moving("ASK 1 c:7000"), at: asked) == .ask(node("c")))
        #expect(budget.next(after: moving("MOVED 1 b:7000"), at: asked) == .failMoving)
    }

    @Test func `A redirection to nowhere waits for a map`() {
        var budget = RedirectBudget()
        #expect(budget.next(after: moving("MOVED 1 ?:7000"), at: asked) == .wait(attempt: 1))
    }

    @Test(arguments: [
        RedisError.Code.clusterUnavailable, .readOnly, .masterDown, .loading, .connectionRefused, .connectTimeout,
    ])
    func `What was not executed and may pass waits`(code: RedisError.Code) {
        var budget = RedirectBudget()
        #expect(budget.next(after: RedisError(code, ""), at: asked) == .wait(attempt: 1))
        #expect(budget.next(after: RedisError(code, ""), at: asked) == .wait(attempt: 2))
    }

    @Test func `What may have been executed is never sent again, and other errors are final`() {
        var budget = RedirectBudget()
        let lost = RedisError(.connectionClosed, "", mayHaveExecuted: true)
        #expect(budget.next(after: lost, at: asked) == .fail)
        #expect(budget.next(after: RedisError(.wrongType, "", serverCode: "WRONGTYPE"), at: asked) == .fail)
        #expect(budget.next(after: RedisError(.outOfMemory, "", serverCode: "OOM"), at: asked) == .fail)
    }
}
