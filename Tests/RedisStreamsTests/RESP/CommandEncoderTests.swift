import CHiredis
import NIOCore
import Testing

@testable import RedisStreams

@Suite struct CommandEncoderTests {
    /// The bytes that hiredis writes for these arguments.
    static func hiredis(_ arguments: [[UInt8]]) -> [UInt8] {
        var target: UnsafeMutablePointer<CChar>?
        var lengths = arguments.map(\.count)
        // One block that holds every argument, so that the pointers into it live long enough.
        let joined = Array(arguments.joined()) + [0]
        return unsafe joined.withUnsafeBytes { bytes in
            var offset = 0
            var pointers: [UnsafePointer<CChar>?] = unsafe []
            for argument in arguments {
                let start = unsafe bytes.baseAddress?.advanced(by: offset)
                unsafe pointers.append(start?.assumingMemoryBound(to: CChar.self))
                offset += argument.count
            }
            let length = unsafe redisFormatCommandArgv(&target, Int32(arguments.count), &pointers, &lengths)
            guard let target = unsafe target else { return [] }
            defer { unsafe redisFreeCommand(target) }
            return unsafe [UInt8](UnsafeRawBufferPointer(start: target, count: Int(length)))
        }
    }

    static func library(_ arguments: [[UInt8]]) -> [UInt8] {
        var encoder = CommandEncoder()
        for argument in arguments { encoder.append(argument) }
        return encoder.bytes
    }

    static let argumentLists: [[[UInt8]]] =
        [1, 2, 9, 10, 11, 99, 100, 101, 999, 1000, 12_345].map { count in
            (0..<count).map { Array("argument \($0)".utf8) }
        } + [
            [[]],
            [[], [], []],
            [Array("SET".utf8), Array("k\r\n$3\r\nabc\r\n".utf8), Array(0...255)],
            [Array("*1\r\n".utf8), Array("\r".utf8), Array("\n".utf8), [0]],
            [Array("XADD".utf8), Array(repeating: 0x61, count: 9)],
            [Array("XADD".utf8), Array(repeating: 0x61, count: 10)],
            [Array("XADD".utf8), Array(repeating: 0x61, count: 99_999)],
            [Array("XADD".utf8), Array(repeating: 0x61, count: 1_000_000), []],
        ]

    @Test(arguments: argumentLists.indices)
    func `A command is written as hiredis writes it`(index: Int) {
        let arguments = Self.argumentLists[index]
        #expect(Self.library(arguments) == Self.hiredis(arguments))
    }

    @Test func `Several commands in one buffer are written one after the other`() {
        var writer = CommandWriter()
        for arguments in Self.argumentLists { writer.write(Arguments(list: arguments)) }
        let (buffer, _) = writer.finish()
        #expect(Array(buffer.readableBytesView) == Self.argumentLists.flatMap(Self.hiredis))
    }

    /// A command that consists only of these arguments.
    private struct Arguments: RedisCommand {
        static let name = "ARGUMENTS"
        let list: [[UInt8]]
        func encode(into encoder: inout CommandEncoder) { for argument in list { encoder.append(argument) } }
        func decode(_ reply: RedisReply) throws(RedisError) {}
    }

    @Test func `Every kind of argument is written as its text`() {
        var encoder = CommandEncoder()
        encoder.append("text ü" as String)
        encoder.append("fixed" as StaticString)
        encoder.append(Int.min)
        encoder.append(0)
        encoder.append(Int.max)
        encoder.append(StreamKey("key"))
        encoder.append(StreamID.zero)
        encoder.append(StreamID(milliseconds: 1_700_000_000_000, sequence: 10))
        encoder.append(StreamID.max)
        encoder.append(milliseconds: .microseconds(1))
        encoder.append(milliseconds: .seconds(2))
        encoder.append(milliseconds: .seconds(Int64.max))
        encoder.append(seconds: .milliseconds(1001))
        encoder.append(seconds: .seconds(Int64.max) + .nanoseconds(1))
        let expected = [
            "text ü", "fixed", "-9223372036854775808", "0", "9223372036854775807", "key", "0-0", "1700000000000-10",
            "18446744073709551615-18446744073709551615", "1", "2000", "9223372036854775807", "2",
            "9223372036854775807",
        ]
        #expect(encoder.bytes == Self.hiredis(expected.map { Array($0.utf8) }))
    }
}
