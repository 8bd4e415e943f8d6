import NIOCore
import Testing

@testable import RedisStreams

@Suite struct ConnectionStateMachineTests {
    @Test func `Replies go to the commands in the order in which they were sent`() {
        var machine = ConnectionStateMachine()
        let all = (0..<3).map { _ in PendingReplies(count: 1) }
        for replies in all { machine.add(replies) }
        machine.flushed()
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

    @Test func `A reply to a command that has not left yet is one that nobody asked for`() {
        var machine = ConnectionStateMachine()
        machine.add(PendingReplies(count: 1))
        let reason = machine.closing(by: reply("+OK\r\n"))
        #expect(reason?.code == .protocolViolation)
    }

    @Test func `A full server's greeting is told as what it says`() {
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
        machine.flushed()
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

    @Test func `At the end only what has left may have been executed`() {
        var machine = ConnectionStateMachine()
        let sent = PendingReplies(count: 1)
        let unsent = PendingReplies(count: 1)
        machine.add(sent, name: "XADD")
        machine.flushed()
        machine.add(unsent, name: "XLEN")
        let failed = machine.close(RedisError(.connectionClosed, "gone"))
        #expect(identities(failed.map(\.0)) == identities([sent, unsent]))
        #expect(failed.map(\.1.mayHaveExecuted) == [true, false])
        #expect(failed.map(\.1.command) == ["XADD", "XLEN"])
        #expect(failed.allSatisfy { $0.1.code == .connectionClosed })
    }

    @Test func `What is answered before the end is not told of it`() {
        var machine = ConnectionStateMachine()
        machine.add(PendingReplies(count: 1), name: "XADD")
        machine.add(PendingReplies(count: 1), name: "XLEN")
        machine.flushed()
        _ = machine.received(reply(":1\r\n"))
        let failed = machine.close(RedisError(.timeout, "slow"))
        #expect(failed.map(\.1.command) == ["XLEN"])
    }

    @Test func `After the end commands fail with its reason and replies are ignored`() {
        var machine = ConnectionStateMachine()
        _ = machine.close(RedisError(.timeout, "slow"))
        let again = machine.close(RedisError(.connectionClosed, "again"))
        #expect(again.isEmpty)
        let code = machine.closeReason?.code
        #expect(code == .timeout)
        let command = ConnectionStateMachine.Command(
            name: "XADD",
            replies: PendingReplies(count: 1),
            deadline: .uptimeNanoseconds(1)
        )
        switch machine.enqueue(command) {
        case .write: Issue.record("a closed connection takes a command")
        case .fail(let error):
            #expect(error.code == .timeout)
            #expect(error.command == "XADD")
            #expect(!error.mayHaveExecuted)
        }
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
        var unsent: [PendingReplies] = []
        for step in 0..<400 {
            switch Int.random(in: 0..<8, using: &random) {
            case 0..<3:
                let replies = PendingReplies(count: 1)
                machine.add(replies, deadline: UInt64(step))
                unsent.append(replies)
            case 3..<5:
                machine.flushed()
                sent += unsent
                unsent = []
            default:
                if sent.isEmpty {
                    let reason = machine.closing(by: reply(":1\r\n"))
                    #expect(reason?.code == .protocolViolation)
                } else {
                    let receiver = machine.receiver(of: reply(":1\r\n"))
                    let expected = sent.removeFirst()
                    #expect(receiver === expected)
                }
            }
            let waiting = machine.waitingCount
            #expect(waiting == sent.count + unsent.count)
        }
        let failed = machine.close(RedisError(.connectionClosed, "gone"))
        #expect(identities(failed.map(\.0)) == identities(sent + unsent))
        let expected: [Bool] = sent.map { _ in true } + unsent.map { _ in false }
        #expect(failed.map(\.1.mayHaveExecuted) == expected)
    }
}

/// What `checkDeadlines` says, to compare with.
private enum Deadline: Equatable {
    case wait(UInt64)
    case idle
    case timeout
    case other
}

extension ConnectionStateMachine {
    fileprivate mutating func add(_ replies: PendingReplies, name: String = "PING", deadline: UInt64 = 1000) {
        let command = Command(name: name, replies: replies, deadline: .uptimeNanoseconds(deadline))
        guard case .write = enqueue(command) else {
            Issue.record("an open connection does not take a command")
            return
        }
    }

    fileprivate mutating func receiver(of reply: RedisReply) -> PendingReplies? {
        if case .deliver(_, let replies) = received(reply) { replies } else { nil }
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
