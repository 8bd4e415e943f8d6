import Testing

@testable import RedisStreams

private struct Cause: Error {
    let password = "hunter2"
}

/// Descriptions can end up in logs, so they must be safe to print.
@Suite struct PrintingTests {
    @Test func `A status is printed without control characters, and cut if it is long`() {
        let status = reply("+a\u{1b}[31m\u{9b}\u{2028}" + String(repeating: "x", count: 60_000) + "\r\n")
        #expect(status.description.hasPrefix("a?[31m??xxx"))
        #expect(status.description.unicodeScalars.count == 300)
        let error = error { () throws(RedisError) in try XLEN("s").response(to: status) }
        #expect(error?.code == .unexpectedReply)
        #expect((error?.message.utf8.count ?? 0) < 500)
    }

    @Test func `The first word of an error is printed without control characters`() {
        #expect(reply("-A\u{1b}B c\r\n").error?.serverCode == "A?B")
        #expect(reply("-WRONGTYPE c\r\n").error?.serverCode == "WRONGTYPE")
        #expect(reply("-" + String(repeating: "x", count: 60_000) + "\r\n").error?.serverCode?.count == 32)
    }

    @Test func `Only the type of the cause of an error is printed`() {
        let error = RedisError(.connectionClosed, "It broke.", command: "XADD", cause: Cause())
        #expect(String(reflecting: error) == "connectionClosed (XADD): It broke. (cause: Cause)")
        var dumped = ""
        dump(error, to: &dumped)
        for text in ["connectionClosed", "XADD", "It broke.", "Cause"] { #expect(dumped.contains(text)) }
        #expect(!dumped.contains("hunter2"))
        #expect(!dumped.contains("Storage"))
        #expect(error.cause is Cause)
        #expect(String(reflecting: RedisError(.timeout, "Late.")) == "timeout: Late.")
    }
}
