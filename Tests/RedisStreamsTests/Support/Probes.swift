import RedisStreamsTesting
import Testing

@testable import RedisStreams

/// The reply of the script `probe`. A server that reports `added` is Redis 7.0 or later.
///
/// - Parameters:
///   - entries: The first and the last entry.
///   - absent: Those of the ids in the call that have no entry.
func probed(
    last: String,
    entries: (first: String, last: String)? = nil,
    length: Int = 1,
    added: Int = -1,
    groups: Int = 0,
    absent: [String] = []
) -> String {
    array(
        [
            ":\(length)\r\n", bulk(last), bulk(entries?.first ?? ""), bulk(entries?.last ?? ""), ":\(added)\r\n",
            bulk(added < 0 ? "" : "0-0"), ":\(groups)\r\n",
        ] + absent.map(bulk)
    )
}

let masterRole = "*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n"
let replicaRole = "*5\r\n$5\r\nslave\r\n$4\r\nhost\r\n:6379\r\n$9\r\nconnected\r\n:1\r\n"

/// The call of the script `probe`.
func probe(_ stream: String = "orders", _ ids: String...) -> [String] {
    ["EVALSHA", Script.probe.sha1, "1", stream] + ids
}

extension FakeConnection {
    /// Acts as the server while a stream consumer probes its stream.
    func expectProbe(
        answer: String,
        role: String = masterRole,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        await expect(["ROLE"], answer: role, sourceLocation: sourceLocation)
        await expect(probe(), answer: answer, sourceLocation: sourceLocation)
    }

    /// Acts as the server while a read waits for the whole of its `BLOCK` and returns nothing.
    func expectIdle(
        _ read: [String],
        for block: Duration = .seconds(5),
        on clock: ManualClock,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        await expect(read, sourceLocation: sourceLocation)
        await clock.advance(by: block)
        send(nothing)
    }
}
