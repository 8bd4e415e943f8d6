import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// What keeps acknowledgements from taking effect on messages that another consumer owns.
@Suite(.limitedTime) struct FencingTests {
    /// A configuration, the time for which a message is handled, and whether its acknowledgement then checks the owner.
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let seconds: Int
        let checksOwner: Bool
        let change: @Sendable (inout GroupConsumer.Configuration) -> Void
    }

    static let cases = [
        Case(testDescription: "within three quarters of the lease", seconds: 22, checksOwner: false) { _ in },
        Case(testDescription: "after three quarters of the lease", seconds: 23, checksOwner: true) { _ in },
        Case(testDescription: "always", seconds: 0, checksOwner: true) { $0.fencing = .always },
        Case(testDescription: "without the safeguard", seconds: 29, checksOwner: false) {
            $0.safeguards.remove(.fencing)
        },
        Case(testDescription: "always, without the safeguard", seconds: 0, checksOwner: false) {
            $0.fencing = .always
            $0.safeguards.remove(.fencing)
        },
        Case(testDescription: "without leases", seconds: 60, checksOwner: false) { $0.claimIdleTime = nil },
    ]

    @Test(arguments: cases) func `After the fencing deadline, a script sends the acknowledgement`(
        setup: Case
    ) async throws {
        let play = GroupPlay {
            // Without renewals, the lease is as old as the message.
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
                await shared.nextBesidesSnapshots()
            }
            #expect(sent == (setup.checksOwner ? acknowledgeIfOwned("1-0", "2-0") : acknowledge("2-0", "1-0")))
            play.shared.send(":2\r\n")
        }
    }

    @Test(arguments: [true, false])
    func `An acknowledgement with confirmation always checks the owner, if messages can be claimed`(
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
            let sent = await play.shared.nextBesidesSnapshots()
            #expect(sent == (canBeClaimed ? acknowledgeIfOwned("1-0", "2-0") : acknowledge("2-0", "1-0")))
            play.shared.send(":1\r\n")
            let acknowledged = try await count
            #expect(acknowledged == 1)
        }
    }

    @Test func `An acknowledgement without effect is not counted`() async throws {
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
