import NIOCore
import Testing

@testable import RedisStreams

@Suite struct ConnectionStateMachineTests {
    @Test func `Replies go to the commands in the order in which they were sent`() {
        var machine = ConnectionStateMachine()
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
        var machine = ConnectionStateMachine()
        let reason = machine.closing(by: reply("+hello\r\n"))
        #expect(reason?.code == .protocolViolation)
        #expect(reason?.mayHaveExecuted == false)
    }

    @Test func `A full server's handshake is told as what it says`() {
        var machine = ConnectionStateMachine()
        let reason = machine.closing(by: reply("-ERR max number of clients reached\r\n"))
        #expect(reason?.code == .tooManyClients)
        #expect(reason?.isRetriable == true)
    }

    @Test func `The deadline is the earliest of all`() {
        var machine = ConnectionStateMachine()
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
        var machine = ConnectionStateMachine()
        for _ in 0..<3 { machine.add(PendingReplies(count: 1)) }
        let failed = machine.close(RedisError(reason, "test"))
        #expect(failed.map(\.1.code) == [reason, others, others])
    }

    @Test func `At the end everything that has no reply may have been executed`() {
        var machine = ConnectionStateMachine()
        let all = (0..<2).map { _ in PendingReplies(count: 1) }
        machine.add(all[0], name: "XADD")
        machine.add(all[1], name: "XLEN")
        let failed = machine.close(RedisError(.connectionClosed, "gone"))
        #expect(identities(failed.compactMap(\.0.group)) == identities(all))
        #expect(failed.map(\.1.mayHaveExecuted) == [true, true])
        #expect(failed.map(\.1.command) == ["XADD", "XLEN"])
        #expect(failed.allSatisfy { $0.1.code == .connectionClosed })
    }

    @Test func `What is answered before the end is not told of it`() {
        var machine = ConnectionStateMachine()
        machine.add(PendingReplies(count: 1), name: "XADD")
        machine.add(PendingReplies(count: 1), name: "XLEN")
        _ = machine.received(reply(":1\r\n"))
        let failed = machine.close(RedisError(.timeout, "slow"))
        #expect(failed.map(\.1.command) == ["XLEN"])
    }

    @Test func `After the end its reason is kept and replies are ignored`() {
        var machine = ConnectionStateMachine()
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
        var machine = ConnectionStateMachine()
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
        #expect(identities(failed.compactMap(\.0.group)) == identities(sent))
    }
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
    fileprivate mutating func add(_ replies: PendingReplies, name: String = "PING", deadline: UInt64 = 1000) {
        sent(SentCommand(name: name, receiver: .group(replies), deadline: .uptimeNanoseconds(deadline)))
    }

    fileprivate mutating func receiver(of reply: RedisReply) -> PendingReplies? {
        if case .deliver(_, let receiver) = received(reply) { receiver.group } else { nil }
    }

    fileprivate mutating func closing(by reply: RedisReply) -> RedisError? {
        if case .close(let error) = received(reply) { error } else { nil }
    }

    fileprivate func deadline(now: UInt64) -> Deadline {
        switch checkDeadlines(now: .uptimeNanoseconds(now)) {
        case .idle: .idle
        case .wait(let deadline): .wait(deadline.uptimeNanoseconds)
        case .close(let error): error.code == .timeout ? .timeout : .other
        }
    }
}
