import Testing

@testable import RedisStreams

@Suite struct StreamFieldsTests {
    static func message(_ fields: [(name: [UInt8], value: [UInt8])]) throws -> StreamMessage {
        let flat = fields.flatMap { [Value.bulk($0.name), Value.bulk($0.value)] }
        let wire = Value.array([.array([.bulk("1-0"), .array(flat)])]).wire
        var batch: MessageBatch?
        var reader = RESPReader()
        try reader.take(wire) { batch = MessageBatch(stream: "s", reply: $0) }
        return try #require(batch?.first)
    }

    @Test func `A name finds the first field with that name`() throws {
        let message = try Self.message([
            (Array("a".utf8), Array("1".utf8)), (Array("ab".utf8), Array("2".utf8)), (Array("a".utf8), Array("3".utf8)),
        ])
        #expect(message["a"] == "1")
        #expect(message["ab"] == "2")
        #expect(message["b"] == nil)
        #expect(message[""] == nil)
        #expect(message.fields.map(\.name) == ["a", "ab", "a"])
        #expect(message.fields.map(\.value) == ["1", "2", "3"])
        #expect(message.fields.count == 3)
        #expect(message.fields.reversed().map(\.value) == ["3", "2", "1"])
    }

    @Test func `Names and values are binary-safe`() throws {
        let message = try Self.message([
            ([0xff, 0x00], [0, 13, 10, 255]), ([], []), (Array("ü".utf8), Array("ß".utf8)),
        ])
        #expect(message.fields[0].nameBytes == [0xff, 0x00])
        #expect(message.fields[0].valueBytes == [0, 13, 10, 255])
        #expect(message.fields[0].name == "\u{FFFD}\u{0}")
        #expect(message[""] == "")
        #expect(message.fields.field("ü")?.value == "ß")
        let copied = unsafe message.fields[0].withUnsafeValueBytes { unsafe [UInt8]($0) }
        #expect(copied == [0, 13, 10, 255])
    }

    @Test func `A detached message is the same, and does not keep its reply in memory`() throws {
        let first = "*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n"
        let wire = "*2\r\n" + first + "*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nb\r\n$2\r\n22\r\n"
        var detached: [StreamMessage] = []
        weak var tape: ReplyTape?
        do {
            let batch = try #require(MessageBatch(stream: "s", reply: reply(wire)))
            tape = batch.storage.tape
            detached = batch.map { $0.detached() }
        }
        #expect(tape == nil)
        #expect(detached.map { "\($0)" } == ["s 1-0 (1 fields)", "s 2-0 (1 fields)"])
        #expect(detached.map { $0["a"] ?? $0["b"] } == ["1", "22"])
        #expect(detached[1].storage.tape.byteCount == 3 + 1 + 2)
        let name = unsafe detached[1].fields[0].withUnsafeNameBytes { unsafe [UInt8]($0) }
        #expect(name == Array("b".utf8))
    }

    @Test func `A detached message may be a deleted one`() throws {
        let batch = try #require(MessageBatch(stream: "s", reply: reply("*1\r\n*2\r\n$3\r\n1-0\r\n*-1\r\n")))
        #expect(batch[0].detached().isDeleted)
    }

    @Test func `A deleted entry has no fields`() throws {
        let batch = try #require(MessageBatch(stream: "s", reply: reply("*1\r\n*2\r\n$3\r\n1-0\r\n*-1\r\n")))
        #expect(batch[0].isDeleted)
        #expect(batch[0].fields.isEmpty)
        #expect(batch[0]["a"] == nil)
    }

    @Test func `Printing a message prints no field`() throws {
        let message = try Self.message([(Array("password".utf8), Array("hunter2".utf8))])
        #expect("\(message)" == "s 1-0 (1 fields)")
    }

    @Test func `A batch can be filtered, and is unchanged if nothing is filtered out`() throws {
        let wire = "*2\r\n*2\r\n$3\r\n1-0\r\n*-1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n"
        let batch = try #require(MessageBatch(stream: "s", reply: reply(wire)))
        #expect(batch.filter { $0.id > StreamID(milliseconds: 1) }.map(\.id) == [StreamID(milliseconds: 2)])
        #expect(batch.filter { (_: MessageBatch.Entry) in true }.count == 2)
    }

    @Test func `Fields to add keep their order, and those of a dictionary are ordered by name`() {
        let literal: StreamFieldsToAdd = ["b": "1", "a": 2, "b": .bytes([3])]
        #expect(literal.fields.map(\.name) == ["b", "a", "b"])
        #expect(StreamFieldsToAdd(["b": "1", "a": "2"]).fields.map(\.name) == ["a", "b"])
        #expect(literal.byteCount == 6)
    }
}
