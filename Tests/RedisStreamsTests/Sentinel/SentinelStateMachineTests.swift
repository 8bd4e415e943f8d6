import NIOCore
import Testing

@testable import RedisStreams

private let a = ServerAddress.tcp(host: "10.0.0.1")
private let b = ServerAddress.tcp(host: "10.0.0.2")
private let sentinels = (1...3).map { ServerAddress.tcp(host: "s\($0)", port: 26379) }
private let refusal = RedisError(.connectionRefused, "Refused by the test.")

private func time(_ seconds: Int) -> NIODeadline { .uptimeNanoseconds(UInt64(seconds) * 1_000_000_000) }

private func master(_ address: ServerAddress, _ epoch: Int) -> SentinelStateMachine.Master {
    .init(address: address, epoch: epoch)
}

/// A machine, whose methods an expectation can call.
private final class Machine {
    typealias Action = SentinelStateMachine.Action

    private var machine = SentinelStateMachine(name: "mymaster", sentinels: sentinels, now: time(0))

    static func make() -> Machine { Machine() }

    /// All three name a master, which is followed and verified.
    static func serving(_ address: ServerAddress, _ epoch: Int) -> Machine {
        let machine = Machine()
        for sentinel in 1...3 { _ = machine.says(sentinel, address, epoch) }
        _ = machine.verified(address)
        return machine
    }

    /// A sentinel names a master.
    func says(_ sentinel: Int, _ address: ServerAddress, _ epoch: Int, at seconds: Int = 1) -> [Action] {
        machine.answered(by: sentinels[sentinel - 1], .master(master(address, epoch)), now: time(seconds))
    }

    func knowsNoSuchName(_ sentinel: Int) {
        _ = machine.answered(by: sentinels[sentinel - 1], .unknownName, now: time(1))
    }

    func fails(_ sentinel: Int, _ error: RedisError = refusal, at seconds: Int = 1) -> [Action] {
        failed(sentinels[sentinel - 1], error, now: time(seconds))
    }

    func failed(_ address: ServerAddress, _ error: RedisError = refusal, now: NIODeadline) -> [Action] {
        machine.failed(address, error, now: now)
    }

    func verified(_ address: ServerAddress) -> Bool { machine.verified(address) }

    func learned(
        _ others: [SENTINEL.SENTINELS.Sentinel],
        from address: ServerAddress,
        withID id: String?,
        now: NIODeadline
    ) -> [ServerAddress] {
        machine.learned(others, from: address, withID: id, now: now)
    }

    func hinted(by hint: SentinelStateMachine.Hint, now: NIODeadline) -> SentinelStateMachine.HintAction {
        machine.hinted(by: hint, now: now)
    }

    var master: SentinelStateMachine.Master? { machine.master }
    var isVerified: Bool { machine.isVerified }
    var addresses: [ServerAddress] { machine.addresses }
    var failure: RedisError? { machine.failure }

    private func master(_ address: ServerAddress, _ epoch: Int) -> SentinelStateMachine.Master {
        .init(address: address, epoch: epoch)
    }
}

@Suite struct SentinelStateMachineTests {
    // MARK: The first master

    @Test func `The first master is the one that most sentinels name`() {
        let machine = Machine.make()
        #expect(machine.says(1, a, 3) == [])
        #expect(machine.master == nil)
        #expect(machine.says(2, a, 3) == [.follow(master(a, 3), instead: nil)])
        #expect(machine.master == master(a, 3))
        #expect(!machine.isVerified)
        #expect(machine.says(3, a, 3) == [])
    }

    @Test func `If the others do not answer, one sentinel is enough`() {
        let machine = Machine.make()
        #expect(machine.says(1, a, 3) == [])
        #expect(machine.fails(2) == [])
        #expect(machine.fails(3) == [.follow(master(a, 3), instead: nil)])
    }

    @Test func `Of two answers, that of the higher epoch counts, and not that of most sentinels`() {
        let machine = Machine.make()
        #expect(machine.says(1, b, 4) == [])
        #expect(machine.says(2, a, 3) == [])
        #expect(
            machine.says(3, a, 3) == [.follow(master(b, 4), instead: nil), .refused(master(a, 3), from: sentinels[2])]
        )
    }

    // MARK: Another master

    @Test func `A higher epoch from one sentinel is another master`() {
        let machine = Machine.serving(a, 3)
        #expect(machine.isVerified)
        #expect(machine.says(2, b, 4) == [.follow(master(b, 4), instead: master(a, 3))])
        #expect(!machine.isVerified)
    }

    @Test func `An address of a lower epoch is refused, and told once`() {
        let machine = Machine.serving(a, 3)
        _ = machine.says(2, b, 4)
        #expect(machine.says(1, a, 3) == [.refused(master(a, 3), from: sentinels[0])])
        #expect(machine.says(1, a, 3) == [])
        #expect(machine.master == master(b, 4))
        #expect(machine.says(1, b, 4) == [])
        #expect(machine.says(1, a, 3) == [.refused(master(a, 3), from: sentinels[0])], "it is behind again")
    }

    @Test func `A sentinel that is alone with a lower epoch is refused for ever`() {
        let machine = Machine.serving(b, 4)
        _ = machine.fails(2)
        _ = machine.fails(3)
        for second in 2...100 {
            #expect(!machine.says(1, a, 3, at: second).contains(.follow(master(a, 3), instead: master(b, 4))))
        }
        #expect(machine.master == master(b, 4))
    }

    @Test func `Sentinels that were set up anew are believed when most agree for half a minute`() {
        let machine = Machine.serving(b, 4)
        #expect(machine.says(1, a, 0, at: 10) == [.refused(master(a, 0), from: sentinels[0])])
        #expect(machine.says(2, a, 0, at: 11) == [.refused(master(a, 0), from: sentinels[1])])
        // As long as one shows the higher epoch, its word counts.
        #expect(machine.says(1, a, 0, at: 60) == [])
        #expect(machine.says(3, a, 0, at: 61) == [.refused(master(a, 0), from: sentinels[2])])
        #expect(machine.says(1, a, 0, at: 90) == [])
        #expect(machine.says(1, a, 0, at: 91) == [.follow(master(a, 0), instead: master(b, 4))])
    }

    @Test func `The same master with a higher epoch is the same master`() {
        let machine = Machine.serving(a, 3)
        #expect(machine.says(1, a, 5) == [])
        #expect(machine.master == master(a, 5))
        #expect(machine.isVerified)
        #expect(machine.says(2, b, 4) == [.refused(master(b, 4), from: sentinels[1])])
    }

    @Test func `With the same epoch, most sentinels have to name another address`() {
        let machine = Machine.serving(a, 3)
        #expect(machine.says(1, b, 3) == [])
        #expect(machine.says(2, b, 3) == [.follow(master(b, 3), instead: master(a, 3))])
    }

    @Test func `What a sentinel said before it stopped answering does not count`() {
        let machine = Machine.serving(a, 3)
        #expect(machine.says(1, b, 3) == [])
        #expect(machine.fails(1) == [])
        #expect(machine.says(2, b, 3) == [], "one of three")
    }

    @Test func `Only the present master is verified, and only once`() {
        let machine = Machine.make()
        #expect(!machine.verified(a))
        _ = machine.says(1, a, 3)
        _ = machine.says(2, a, 3)
        #expect(!machine.verified(b))
        #expect(machine.verified(a))
        #expect(!machine.verified(a))
        #expect(machine.isVerified)
    }

    // MARK: Sentinels

    @Test func `When no sentinel answers any more, that is told once, and the master stays`() {
        let machine = Machine.serving(a, 3)
        #expect(machine.fails(1) == [])
        #expect(machine.fails(2) == [])
        #expect(machine.fails(3) == [.lostContact(.connectionRefused)])
        #expect(machine.fails(1) == [])
        #expect(machine.master == master(a, 3))
        #expect(machine.says(2, a, 3) == [.regainedContact])
    }

    @Test func `Other sentinels are learned once, by their ids, and not without bounds`() {
        let machine = Machine.make()
        func other(_ host: String, _ id: String) -> SENTINEL.SENTINELS.Sentinel {
            .init(address: .init(host: host, port: 26379), id: id)
        }
        #expect(machine.learned([], from: sentinels[1], withID: "second", now: time(1)) == [])
        let learned = machine.learned(
            [other("10.0.1.2", "second"), other("s3", "third"), other("10.0.1.4", "fourth"), other("", "none")],
            from: sentinels[0],
            withID: "first",
            now: time(1)
        )
        #expect(learned == [.tcp(host: "10.0.1.4", port: 26379)])
        // Another address of the third one: it tells its id only afterwards.
        #expect(
            machine.learned([other("10.0.1.3", "third")], from: sentinels[0], withID: "first", now: time(1)).count == 1
        )
        #expect(machine.addresses.count == 5)
        #expect(machine.learned([], from: sentinels[2], withID: "third", now: time(1)) == [])
        #expect(machine.addresses == sentinels + [.tcp(host: "10.0.1.4", port: 26379)])
        let many = (1...100).map { other("10.1.0.\($0)", "many-\($0)") }
        #expect(machine.learned(many, from: sentinels[0], withID: "first", now: time(1)).count == 28)
        #expect(machine.addresses.count == 32)
    }

    @Test func `One sentinel under two addresses has one vote`() {
        let machine = Machine.make()
        _ = machine.learned([], from: sentinels[0], withID: "same", now: time(1))
        _ = machine.learned([], from: sentinels[1], withID: "same", now: time(1))
        _ = machine.says(1, a, 3)
        #expect(machine.says(2, a, 3) == [], "one of two")
        #expect(machine.says(3, a, 3) == [.follow(master(a, 3), instead: nil)])
    }

    @Test func `A learned sentinel that stays silent is forgotten, and one of the configuration is not`() {
        let machine = Machine.make()
        let other = SENTINEL.SENTINELS.Sentinel(address: .init(host: "10.0.1.4", port: 26379), id: "fourth")
        let address = machine.learned([other], from: sentinels[0], withID: "first", now: time(0))[0]
        _ = machine.failed(address, now: time(59))
        #expect(machine.addresses.count == 4)
        _ = machine.failed(address, now: time(60))
        _ = machine.fails(1, at: 1000)
        #expect(machine.addresses == sentinels)
    }

    @Test func `Many connections that end cause a round of questions every 50 ms, and the last of them is not dropped`()
    {
        let machine = Machine.make()
        let soon = time(1) + .milliseconds(50)
        #expect(machine.hinted(by: .timer, now: time(1)) == .nothing)
        #expect(machine.hinted(by: .connection, now: time(1)) == .askNow)
        // The sentinels may not have known then what this one hints at.
        #expect(machine.hinted(by: .connection, now: time(1) + .milliseconds(1)) == .later(soon))
        #expect(machine.hinted(by: .connection, now: time(1) + .milliseconds(49)) == .nothing)
        #expect(machine.hinted(by: .timer, now: soon) == .askNow)
        #expect(machine.hinted(by: .connection, now: soon + .milliseconds(50)) == .askNow)
    }

    @Test func `An announcement is never delayed`() {
        let machine = Machine.make()
        #expect(machine.hinted(by: .connection, now: time(1)) == .askNow)
        #expect(machine.hinted(by: .connection, now: time(1)) == .later(time(1) + .milliseconds(50)))
        #expect(machine.hinted(by: .announcement, now: time(1)) == .askNow)
        #expect(machine.hinted(by: .announcement, now: time(1)) == .askNow)
        #expect(machine.hinted(by: .timer, now: time(1) + .milliseconds(50)) == .nothing, "asked meanwhile")
    }

    // MARK: Errors

    @Test func `The error says what each sentinel said, and waiting may help`() {
        let machine = Machine.make()
        #expect(machine.failure == nil)
        _ = machine.fails(1)
        machine.knowsNoSuchName(2)
        #expect(machine.failure == nil, "the third has not been asked")
        _ = machine.fails(3)
        let failure = machine.failure
        #expect(failure?.code == .connectionUnavailable)
        #expect(failure?.isRetriable == true)
        #expect(failure?.message.contains("s1:26379 does not answer (connectionRefused)") == true)
        #expect(failure?.message.contains("s2:26379 knows no master of this name") == true)
    }

    @Test func `If waiting cannot help, the error is that of the sentinels`() {
        let machine = Machine.make()
        let wrong = RedisError(.authenticationFailed, "Wrong.")
        _ = machine.fails(1, wrong)
        _ = machine.fails(2, wrong)
        _ = machine.fails(3, wrong)
        #expect(machine.failure?.code == .authenticationFailed)
        _ = machine.fails(3)
        #expect(machine.failure?.code == .connectionUnavailable)
    }
}
