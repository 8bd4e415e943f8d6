import Testing

@testable import RedisStreams

/// Refuses every command with an error that contains its fields.
private struct Recorder: RedisCommandExecutor {
    struct Fields: Error {
        var lines: [String]
    }

    func execute<Command: RedisCommand>(_ command: Command) async throws(RedisError) -> Command.Response {
        let fields = (command as? XADD)?.fields ?? [:]
        throw RedisError(.serverError, "", cause: Fields(lines: lines(fields)))
    }
}

@Suite struct ValueXADDTests {
    private func added(_ body: (Recorder) async throws -> Void) async -> [String]? {
        let error = await #expect(throws: RedisError.self) { try await body(Recorder()) }
        return (error?.cause as? Recorder.Fields)?.lines
    }

    @Test("A value is added as the fields of its properties")
    func value() async {
        let payment = Payment.split([1, 2])
        #expect(await added { try await $0.xadd("orders", payment) } == [#"split={"_0":[1,2]}"#])
        #expect(
            await added { try await $0.xaddIfStreamExists("orders", payment, id: .milliseconds(1)) }
                == [#"split={"_0":[1,2]}"#]
        )
    }

    @Test("Fields in a dictionary literal keep their order, and are not read as a dictionary")
    func literal() async {
        #expect(await added { try await $0.xadd("orders", ["b": "1", "a": "2"]) } == ["b=1", "a=2"])
        #expect(await added { try await $0.xadd("orders", ["b": 1, "a": 2]) } == ["b=1", "a=2"])
        #expect(await added { try await $0.xadd("orders", ["b": "x", "b": 2], trim: nil) } == ["b=x", "b=2"])
        #expect(await added { try await $0.xaddIfStreamExists("orders", ["b": "1", "a": "2"]) } == ["b=1", "a=2"])
        let dictionary = ["b": "1", "a": "null"]
        #expect(await added { try await $0.xadd("orders", dictionary) } == ["a=null", "b=1"])
    }

    @Test("A value that cannot be encoded as fields is refused before anything is sent")
    func refused() async {
        let error = await #expect(throws: RedisError.self) { try await Recorder().xadd("orders", 5) }
        #expect(error?.code == .encodingFailed)
    }
}
