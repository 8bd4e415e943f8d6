import NIOCore
import Testing

@testable import RedisStreams

@Suite struct CredentialsStateMachineTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private static func time(_ milliseconds: Int64) -> NIODeadline { start + .milliseconds(milliseconds) }

    private static func credentials(_ password: Password, validFor: Duration? = nil) -> RedisCredentials {
        RedisCredentials(password: password, validFor: validFor)
    }

    private static let failure = RedisError(.connectionUnavailable, "The provider threw.")

    /// A machine whose provider has returned once, at the start.
    private static func issued(validFor: Duration?) -> CredentialsStateMachine {
        var machine = CredentialsStateMachine()
        guard case .call(let call) = machine.request(1, now: start) else { return machine }
        _ = machine.succeeded(call, credentials("first", validFor: validFor), now: start)
        return machine
    }

    @Test func `One call serves everybody who needs credentials at that time`() throws {
        var machine = CredentialsStateMachine()
        let call = try #require(machine.request(1, now: Self.start).call)
        #expect(machine.request(2, now: Self.time(10)).waits)
        #expect(machine.request(3, replacing: 7, now: Self.time(20)).waits)
        let answer = machine.succeeded(call, Self.credentials("a", validFor: .seconds(10)), now: Self.time(30))
        let result = try #require(answer)
        #expect(result.waiters == [1, 2, 3])
        #expect(result.issue.credentials.password == "a")
        #expect(machine.succeeded(call, Self.credentials("b"), now: Self.time(40)) == nil)
    }

    @Test func `New connections use what is known until it expires`() {
        var machine = Self.issued(validFor: .seconds(10))
        #expect(machine.request(2, now: Self.time(9999)).issue?.number == 1)
        #expect(machine.request(3, now: Self.time(10_000)).call != nil)
    }

    @Test func `Credentials whose end is not known are asked for again with each connection`() {
        var machine = Self.issued(validFor: nil)
        #expect(machine.request(2, now: Self.start).call != nil)
    }

    @Test func `Open connections renew after 80 percent of the time, by one call`() throws {
        var machine = Self.issued(validFor: .seconds(10))
        let issue = try #require(machine.request(2, now: Self.start).issue)
        let renewAt = try #require(issue.renewAt)
        #expect(renewAt == Self.time(8000))
        let call = try #require(machine.request(3, replacing: 1, now: renewAt).call)
        #expect(machine.request(4, replacing: 1, now: renewAt).waits)
        // What is known still serves new connections meanwhile.
        #expect(machine.request(5, now: renewAt).issue?.number == 1)
        let answer = machine.succeeded(call, Self.credentials("next", validFor: .seconds(10)), now: renewAt)
        let next = try #require(answer)
        #expect(next.waiters == [3, 4])
        #expect(machine.request(6, replacing: 1, now: Self.time(8100)).issue?.number == 2)
        #expect(machine.request(6, replacing: 2, now: Self.time(8100)).call != nil)
    }

    @Test(arguments: [Duration.zero, .seconds(-5), .nanoseconds(1), .seconds(Int64.max)])
    func `A time of no use is brought within bounds`(validFor: Duration) throws {
        var machine = Self.issued(validFor: validFor)
        let issue = try #require(machine.request(2, now: Self.start).issue)
        #expect(issue.expiresAt >= Self.time(100))
        #expect(issue.renewAt.map { $0 >= Self.time(80) && $0 < issue.expiresAt } == true)
    }

    @Test func `After a failure nobody asks for a while, which becomes longer`() throws {
        var machine = CredentialsStateMachine()
        var now = Self.start
        for delay: Int64 in [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let call = try #require(machine.request(1, now: now).call)
            #expect(machine.request(2, now: now).waits)
            #expect(machine.failed(call, Self.failure, now: now) == [1, 2])
            #expect(machine.request(3, now: now + .milliseconds(delay - 1)).error?.code == .connectionUnavailable)
            now = now + .milliseconds(delay)
        }
        let call = try #require(machine.request(4, now: now).call)
        _ = machine.succeeded(call, Self.credentials("a"), now: now)
        let again = try #require(machine.request(5, now: now).call)
        _ = machine.failed(again, Self.failure, now: now)
        #expect(machine.request(6, now: now + .milliseconds(50)).call != nil)
    }

    @Test func `A failed renewal leaves what is known to new connections`() throws {
        var machine = Self.issued(validFor: .seconds(10))
        let call = try #require(machine.request(2, replacing: 1, now: Self.time(8000)).call)
        #expect(machine.failed(call, Self.failure, now: Self.time(8000)) == [2])
        #expect(machine.request(3, replacing: 1, now: Self.time(8001)).error != nil)
        #expect(machine.request(4, now: Self.time(8001)).issue?.number == 1)
        #expect(machine.request(5, now: Self.time(10_000)).call != nil)
    }

    @Test func `What the server has refused is dropped, once`() throws {
        var machine = Self.issued(validFor: .seconds(10))
        machine.reject(1)
        let call = try #require(machine.request(2, now: Self.time(1)).call)
        _ = machine.succeeded(call, Self.credentials("b", validFor: .seconds(10)), now: Self.time(2))
        // Another connection learns only now that the first ones were refused.
        machine.reject(1)
        #expect(machine.request(3, now: Self.time(3)).issue?.number == 2)
    }

    @Test func `A call that nobody waits for any more does not count`() throws {
        var machine = CredentialsStateMachine()
        let call = try #require(machine.request(1, now: Self.start).call)
        #expect(machine.request(2, now: Self.start).waits)
        #expect(machine.leave(1) == nil)
        #expect(machine.leave(1) == nil)
        #expect(machine.isUnderWay(call))
        #expect(machine.leave(2) == call)
        #expect(!machine.isUnderWay(call))
        #expect(machine.succeeded(call, Self.credentials("late"), now: Self.start) == nil)
        #expect(machine.failed(call, Self.failure, now: Self.start) == nil)
        let next = try #require(machine.request(3, now: Self.start).call)
        #expect(next != call)
    }
}

extension CredentialsStateMachine.Answer {
    fileprivate var issue: CredentialsStateMachine.Issue? { if case .use(let issue) = self { issue } else { nil } }
    fileprivate var call: Int? { if case .call(let call) = self { call } else { nil } }
    fileprivate var error: RedisError? { if case .fail(let error) = self { error } else { nil } }
    fileprivate var waits: Bool { if case .wait = self { true } else { false } }
}
