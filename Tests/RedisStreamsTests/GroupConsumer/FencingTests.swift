import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// By what acknowledgements are kept from taking effect on what is others'.
@Suite(.limitedTime) struct FencingTests {
    /// How a consumer is set up, and what it does when a message has been handled for so long.
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let seconds: Int
        let looksAtOwner: Bool
        let change: @Sendable (inout GroupConsumer.Configuration) -> Void
    }

    static let cases = [
        Case(testDescription: "within three quarters of the lease", seconds: 22, looksAtOwner: false) { _ in },
        Case(testDescription: "after three quarters of the lease", seconds: 23, looksAtOwner: true) { _ in },
        Case(testDescription: "always", seconds: 0, looksAtOwner: true) { $0.fencing = .always },
        Case(testDescription: "without the safeguard", seconds: 29, looksAtOwner: false) {
            $0.safeguards.remove(.fencing)
        },
        Case(testDescription: "always, without the safeguard", seconds: 0, looksAtOwner: false) {
            $0.fencing = .always
            $0.safeguards.remove(.fencing)
        },
        Case(testDescription: "without leases", seconds: 60, looksAtOwner: false) { $0.claimIdleTime = nil },
    ]

    @Test(arguments: cases) func `An acknowledgement goes by a script as soon as the lease is in doubt`(
        setup: Case
    ) async throws {
        let play = GroupPlay {
            // So that the lease is as old as the message.
            $0.safeguards.remove(.renewal)
            $0.acknowledgement = .manual
            setup.change(&$0)
        }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew())
            let got = [try await messages.next(), try await messages.next()]
            await play.clock.advance(by: .seconds(setup.seconds))
            for message in got.reversed() { message?.acknowledge() }
            let sent = await play.clock.advance(by: .milliseconds(1)) { [shared = play.shared] in
                await shared.nextBesidesLooks()
            }
            #expect(sent == (setup.looksAtOwner ? acknowledgeIfOwned("1-0", "2-0") : acknowledge("2-0", "1-0")))
            play.shared.send(":2\r\n")
        }
    }

    @Test(arguments: [true, false])
    func `One whose reply is waited for looks at the owner in any case, where messages can be claimed`(
        canBeClaimed: Bool
    ) async throws {
        let play = GroupPlay {
            if !canBeClaimed { $0.claimIdleTime = nil }
            $0.acknowledgement = .manual
        }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew())
            let got = [try await messages.next(), try await messages.next()].compactMap { $0 }
            async let count = consumer.acknowledge(got.reversed())
            let sent = await play.shared.nextBesidesLooks()
            #expect(sent == (canBeClaimed ? acknowledgeIfOwned("1-0", "2-0") : acknowledge("2-0", "1-0")))
            play.shared.send(":1\r\n")
            let acknowledged = try await count
            #expect(acknowledged == 1)
        }
    }

    @Test func `What was acknowledged for nobody is not counted`() async throws {
        let play = GroupPlay { $0.fencing = .always }
        try await play.running { consumer in
            var messages = consumer.makeAsyncIterator()
            let shared = play.shared
            let server = await play.start()
            await server.expect(readNew(), answer: batch(entry("1-0"), entry("2-0")))
            await server.expect(readNew())
            _ = try await messages.next()
            _ = try await messages.next()
            await play.clock.advance(by: .milliseconds(1)) {
                await shared.expect(acknowledgeIfOwned("1-0"), answer: ":0\r\n")
            }
            await play.clock.calmDown()
            #expect(consumer.counters.acknowledged == 0)
        }
    }
}
