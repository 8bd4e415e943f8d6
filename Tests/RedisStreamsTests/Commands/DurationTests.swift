import NIOCore
import Testing

@testable import RedisStreams

/// Extreme times: a command refuses them, or writes them as a valid number.
@Suite struct DurationTests {
    static let extremes: [Duration] = [
        .seconds(Int64.max), .seconds(Int64.max) + .nanoseconds(999_999_999), .seconds(Int64.min),
        .seconds(Int64.min) - .nanoseconds(999_999_999), .seconds(Int64.max / 1000), .seconds(Int64.max / 1000 + 1),
        .seconds(Int64.min / 1000), .seconds(Int64.min / 1000) - .nanoseconds(999_999_999),
        .seconds(Int64.max / 1_000_000_000), .seconds(-1), .microseconds(-1), .zero, .microseconds(1),
        .milliseconds(1), .seconds(86_400), .seconds(86_401), Duration(secondsComponent: 0, attosecondsComponent: 1),
    ]

    static func blocking(_ time: Duration) -> [any RedisCommand] {
        [
            XREAD([StreamOffset("s")], block: time),
            XREADGROUP(group: "g", consumer: "c", streams: [GroupOffset("s")], block: time),
            WAIT(replicas: 1, timeout: time), WAITAOF(local: false, replicas: 1, timeout: time),
        ]
    }

    static func others(_ time: Duration) -> [any RedisCommand] {
        let claim = XCLAIM("s", group: "g", consumer: "c", minIdle: time, ids: [.zero], delivery: .idle(time))
        return [
            claim, XCLAIM.JUSTID(claim), XAUTOCLAIM("s", group: "g", consumer: "c", minIdle: time),
            XAUTOCLAIM.JUSTID(XAUTOCLAIM("s", group: "g", consumer: "c", minIdle: time)),
            XREADGROUP(group: "g", consumer: "c", streams: [GroupOffset("s")], claim: time),
            XPENDING.Entries("s", group: "g", count: 1, minIdle: time), EXPIRE("s", after: time),
            XCFGSET("s", idempotencyDuration: time),
        ]
    }

    @Test(arguments: extremes) func `No duration traps`(time: Duration) {
        for command in Self.blocking(time) + Self.others(time) {
            let refusal = error { () throws(RedisError) in try command.validate() }
            #expect(refusal == nil || refusal?.code == .invalidArgument)
            if time < .zero { #expect(refusal != nil, "\(command.name)") }
            #expect(!wire(command).isEmpty)
            let timeout = RedisConnection.Configuration().timeout(blockingTime: command.blockingTime)
            #expect(timeout >= .seconds(10))
            #expect(NIODeadline.now() + TimeAmount(timeout) > .now())
        }
        if time >= .nanoseconds(1) { #expect(TimeAmount(time) > .zero) }
        #expect((time.wholeMilliseconds > 0) == (time > .zero))
    }

    @Test(arguments: extremes) func `A command can block for a millisecond to a day`(time: Duration) {
        for command in Self.blocking(time) {
            let refusal = error { () throws(RedisError) in try command.validate() }
            let isFit = time >= .milliseconds(1) && time <= .seconds(86_400)
            #expect(refusal?.code == (isFit ? nil : .invalidArgument), "\(command.name)")
        }
    }

    @Test func `Times beyond the limits are clamped to the nearer limit`() {
        #expect(Duration.seconds(Int64.min).wholeMilliseconds == .min)
        #expect(Duration.seconds(Int64.max).wholeMilliseconds == .max)
        #expect((Duration.milliseconds(Int.max) + .microseconds(1)).wholeMilliseconds == .max)
        #expect((Duration.milliseconds(Int.min) - .milliseconds(1)).wholeMilliseconds == .min)
    }
}
