import NIOCore
import Testing

@testable import RedisStreams

@Suite struct ConnectionStateMachineTests {
    @Test func `Replies go to the commands in the order in which they were sent`() {
        var machine = ConnectionStateMachine.open()
        let all = (0..<3).map { _ in PendingReplies(count: 1) }
        for replies in all { machine.add(replies) }
        for replies in all {
            let receiver = machine.receiver(of: reply(":1\r\n"))
            #expect(receiver === replies)
        }
        let waiting = machine.waitingCount
        #expect(waiting == 0)
    }

    @Test func `A reply that nobody asked for ends the connection`() {
        var machine = ConnectionStateMachine.open()
        let reason = machine.closing(by: reply("+hello\r\n"))
        #expect(reason?.code == .protocolViolation)
        #expect(reason?.mayHaveExecuted == false)
    }

    @Test func `The error of a full server is the reason of the end`() {
        var machine = ConnectionStateMachine.open()
        let reason = machine.closing(by: reply("-ERR max number of clients reached\r\n"))
        #expect(reason?.code == .tooManyClients)
        #expect(reason?.isRetriable == true)
    }

    @Test func `The deadline is the earliest of all`() {
        var machine = ConnectionStateMachine.open()
        let idle = machine.deadline(now: 0)
        #expect(idle == .idle)
        machine.add(PendingReplies(count: 1), deadline: 30)
        machine.add(PendingReplies(count: 1), deadline: 10)
        machine.add(PendingReplies(count: 1), deadline: 20)
        let first = machine.deadline(now: 5)
        let overdue = machine.deadline(now: 10)
        #expect(first == .wait(10))
        #expect(overdue == .timeout)
        _ = machine.received(reply(":1\r\n"))
        _ = machine.received(reply(":1\r\n"))
        let last = machine.deadline(now: 15)
        #expect(last == .wait(20))
        _ = machine.received(reply(":1\r\n"))
        let none = machine.deadline(now: 100)
        #expect(none == .idle)
    }

    @Test(
        arguments: [
            (.replyTooLarge, .connectionClosed), (.protocolViolation, .connectionClosed), (.timeout, .timeout),
        ] as [(RedisError.Code, RedisError.Code)]
    )
    func `A reply that cannot be read is the fault of its own command, and costs the others the connection`(
        reason: RedisError.Code,
        others: RedisError.Code
    ) {
        var machine = ConnectionStateMachine.open()
        for _ in 0..<3 { machine.add(PendingReplies(count: 1)) }
        let failed = machine.close(RedisError(reason, "test"))
        #expect(failed.map(\.1.code) == [reason, others, others])
    }

    @Test func `At the end every command without a reply may have been executed`() {
        var machine = ConnectionStateMachine.open()
        let all = (0..<2).map { _ in PendingReplies(count: 1) }
        machine.add(all[0], name: "XADD")
        machine.add(all[1], name: "XLEN")
        let failed = machine.close(RedisError(.connectionClosed, "gone"))
        #expect(identities(failed.compactMap(\.0.receiver.group)) == identities(all))
        #expect(failed.map(\.1.mayHaveExecuted) == [true, true])
        #expect(failed.map(\.1.command) == ["XADD", "XLEN"])
        #expect(failed.allSatisfy { $0.1.code == .connectionClosed })
    }

    @Test func `A command that has its reply does not learn of the end`() {
        var machine = ConnectionStateMachine.open()
        machine.add(PendingReplies(count: 1), name: "XADD")
        machine.add(PendingReplies(count: 1), name: "XLEN")
        _ = machine.received(reply(":1\r\n"))
        let failed = machine.close(RedisError(.timeout, "slow"))
        #expect(failed.map(\.1.command) == ["XLEN"])
    }

    @Test func `After the end its reason is kept and replies are ignored`() {
        var machine = ConnectionStateMachine.open()
        _ = machine.close(RedisError(.timeout, "slow"))
        let again = machine.close(RedisError(.connectionClosed, "again"))
        #expect(again.isEmpty)
        let code = machine.closeReason?.code
        #expect(code == .timeout)
        guard case .ignore = machine.received(reply("+OK\r\n")) else {
            Issue.record("a closed connection takes a reply")
            return
        }
        let deadline = machine.deadline(now: 100)
        #expect(deadline == .idle)
    }

    @Test(arguments: seeds) func `On a random walk replies equal requests in order`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var machine = ConnectionStateMachine.open()
        var sent: [PendingReplies] = []
        for step in 0..<400 {
            if Bool.random(using: &random) {
                let replies = PendingReplies(count: 1)
                machine.add(replies, deadline: UInt64(step))
                sent.append(replies)
            } else if sent.isEmpty {
                let reason = machine.closing(by: reply(":1\r\n"))
                #expect(reason?.code == .protocolViolation)
            } else {
                let receiver = machine.receiver(of: reply(":1\r\n"))
                let expected = sent.removeFirst()
                #expect(receiver === expected)
            }
            let waiting = machine.waitingCount
            #expect(waiting == sent.count)
        }
        let failed = machine.close(RedisError(.connectionClosed, "gone"))
        #expect(identities(failed.compactMap(\.0.receiver.group)) == identities(sent))
    }
}

/// The states of the machine, in the words of its table.
enum ConnectionState: CaseIterable {
    case connecting, handshaking, open, closing, draining, closed

    func make() -> ConnectionStateMachine {
        var machine = ConnectionStateMachine()
        switch self {
        case .connecting: break
        case .handshaking: _ = machine.connected(NoStream())
        case .open: machine = .open()
        case .closing:
            machine = .open()
            _ = machine.retire()
        case .draining:
            machine = ConnectionState.closing.make()
            _ = machine.graceIsOver()
        case .closed: _ = machine.end(RedisError(.timeout, "slow"))
        }
        return machine
    }
}

@Suite struct ConnectionLifeTests {
    @Test func `A connection that is used and retired goes through all states`() {
        var machine = ConnectionStateMachine()
        var states = [machine.observed]
        _ = machine.connected(NoStream())
        states.append(machine.observed)
        _ = machine.handshakeSucceeded(at: .uptimeNanoseconds(7))
        states.append(machine.observed)
        _ = machine.retire()
        states.append(machine.observed)
        _ = machine.graceIsOver()
        states.append(machine.observed)
        _ = machine.end(RedisError(.timeout, "slow"))
        states.append(machine.observed)
        #expect(states == ConnectionState.allCases)
        let openedAt = machine.openedAt
        #expect(openedAt == .uptimeNanoseconds(7))
    }

    @Test(arguments: ConnectionState.allCases) func `A stream is taken once, while connecting`(state: ConnectionState) {
        var machine = state.make()
        let isTaken = machine.connected(NoStream())
        let next = machine.observed
        #expect(isTaken == (state == .connecting))
        #expect(next == (state == .connecting ? .handshaking : state))
    }

    @Test(arguments: ConnectionState.allCases) func `Only a handshake opens a connection`(state: ConnectionState) {
        var machine = state.make()
        let isOpened = machine.handshakeSucceeded(at: .uptimeNanoseconds(7))
        let next = machine.observed
        #expect(isOpened == (state == .handshaking))
        #expect(next == (state == .handshaking ? .open : state))
    }

    @Test(arguments: ConnectionState.allCases)
    func `An open connection closes behind a grace period, and one that nobody was given ends`(state: ConnectionState) {
        var machine = state.make()
        let action = machine.retire()
        let next = machine.observed
        switch state {
        case .connecting, .handshaking: #expect(action == .end)
        case .open: #expect(action == .waitForGrace)
        case .closing, .draining, .closed: #expect(action == .none)
        }
        #expect(next == (state == .open ? .closing : state))
    }

    @Test(arguments: ConnectionState.allCases) func `The grace period ends once`(state: ConnectionState) {
        var machine = state.make()
        let hasEnded = machine.graceIsOver()
        let next = machine.observed
        #expect(hasEnded == (state == .closing))
        #expect(next == (state == .closing ? .draining : state))
    }

    @Test(arguments: ConnectionState.allCases)
    func `A connection ends once, from every state, and returns its stream`(state: ConnectionState) {
        var machine = state.make()
        let hasStream = machine.stream != nil
        let action = machine.end(RedisError(.connectionClosed, "gone"))
        #expect((action != nil) == (state != .closed))
        #expect((action?.stream != nil) == hasStream)
        let next = machine.observed
        let code = machine.closeReason?.code
        #expect(next == .closed)
        #expect(code == (state == .closed ? .timeout : .connectionClosed))
        let stream = machine.stream
        #expect(stream == nil)
    }

    @Test(arguments: ConnectionState.allCases)
    func `A reply that nobody asked for ends every connection that has not ended`(state: ConnectionState) {
        var machine = state.make()
        let reason = machine.closing(by: reply("-ERR max number of clients reached\r\n"))
        #expect(reason?.code == (state == .closed ? nil : .tooManyClients))
    }

    @Test func `A connection that is closing ends behind the last reply`() {
        var machine = ConnectionStateMachine.open()
        machine.add(PendingReplies(count: 1))
        _ = machine.retire()
        // In time, by a caller that had got the connection before.
        machine.add(PendingReplies(count: 1))
        var drained = [machine.isDrained]
        _ = machine.graceIsOver()
        drained.append(machine.isDrained)
        _ = machine.received(reply(":1\r\n"))
        drained.append(machine.isDrained)
        _ = machine.received(reply(":2\r\n"))
        drained.append(machine.isDrained)
        #expect(drained == [false, false, false, true])
    }

    @Test(arguments: ConnectionState.allCases)
    func `TLS that fails is final until the server has let this client in`(state: ConnectionState) {
        let machine = state.make()
        let wasOpen = [.open, .closing, .draining].contains(state)
        let reason = machine.reason(forEndOfStream: RedisError(.tlsFailure, "bad record mac"))
        #expect(reason.code == (wasOpen ? .connectionClosed : .tlsFailure))
        let peer = machine.reason(forEndOfStream: nil)
        #expect(peer.code == .connectionClosed)
    }
}

private final class NoStream: ByteStream {
    func write(_ bytes: ByteBuffer) {}
    func close() {}
}

/// What `checkDeadlines` says, to compare with.
private enum Deadline: Equatable {
    case wait(UInt64)
    case idle
    case timeout
    case other
}

extension ReplyReceiver {
    fileprivate var group: PendingReplies? { if case .group(let replies) = self { replies } else { nil } }
}

extension ConnectionStateMachine {
    /// A connection that the server has let in.
    fileprivate static func open() -> ConnectionStateMachine {
        var machine = ConnectionStateMachine()
        _ = machine.connected(NoStream())
        _ = machine.handshakeSucceeded(at: .uptimeNanoseconds(0))
        return machine
    }

    /// The state, as far as it can be seen from outside.
    fileprivate var observed: ConnectionState {
        if closeReason != nil { return .closed }
        if stream == nil { return .connecting }
        if openedAt == nil { return .handshaking }
        if isOpen { return .open }
        return isDrained ? .draining : .closing
    }

    fileprivate mutating func close(_ reason: RedisError) -> [(ConnectionStateMachine.SentCommand, RedisError)] {
        end(reason)?.failed ?? []
    }

    fileprivate mutating func add(_ replies: PendingReplies, name: String = "PING", deadline: UInt64 = 1000) {
        sent(
            SentCommand(
                name: name,
                receiver: .group(replies),
                sentAt: .uptimeNanoseconds(0),
                deadline: .uptimeNanoseconds(deadline)
            )
        )
    }

    fileprivate mutating func receiver(of reply: RedisReply) -> PendingReplies? {
        if case .deliver(_, let command) = received(reply) { command.receiver.group } else { nil }
    }

    fileprivate mutating func closing(by reply: RedisReply) -> RedisError? {
        if case .end(let error) = received(reply) { error } else { nil }
    }

    fileprivate func deadline(now: UInt64) -> Deadline {
        switch checkDeadlines(now: .uptimeNanoseconds(now)) {
        case .idle: .idle
        case .wait(let deadline): .wait(deadline.uptimeNanoseconds)
        case .end(let error): error.code == .timeout ? .timeout : .other
        }
    }
}
