import Testing

@testable import RedisStreams

/// Replies with the exact bytes that servers send, and their values.
struct GoldenReply: CustomTestStringConvertible {
    let wire: [UInt8]
    let value: Value

    init(_ wire: String, _ value: Value) {
        self.wire = Array(wire.utf8)
        self.value = value
    }

    init(_ wire: [UInt8], _ value: Value) {
        self.wire = wire
        self.value = value
    }

    var testDescription: String { String(decoding: wire.prefix(60), as: UTF8.self).debugDescription }

    static let all: [GoldenReply] = scalars + arrays + streams

    static let scalars: [GoldenReply] = [
        GoldenReply("+OK\r\n", .simple("OK")),
        GoldenReply("+PONG\r\n", .simple("PONG")),
        GoldenReply("+\r\n", .simple("")),
        GoldenReply("+with spaces: and, signs\r\n", .simple("with spaces: and, signs")),
        GoldenReply("-ERR no such key\r\n", .error("ERR no such key")),
        GoldenReply("-WRONGTYPE Operation against a key\r\n", .error("WRONGTYPE Operation against a key")),
        GoldenReply("-\r\n", .error("")),
        GoldenReply(":0\r\n", .integer(0)),
        GoldenReply(":1\r\n", .integer(1)),
        GoldenReply(":-1\r\n", .integer(-1)),
        GoldenReply(":1795368938136\r\n", .integer(1_795_368_938_136)),
        GoldenReply(":9223372036854775807\r\n", .integer(.max)),
        GoldenReply(":-9223372036854775808\r\n", .integer(.min)),
        GoldenReply("$-1\r\n", .null),
        GoldenReply("*-1\r\n", .null),
        GoldenReply("$0\r\n\r\n", .bulk("")),
        GoldenReply("$1\r\na\r\n", .bulk("a")),
        GoldenReply("$5\r\nhello\r\n", .bulk("hello")),
        GoldenReply("$2\r\n\r\n\r\n", .bulk("\r\n")),
        GoldenReply("$7\r\n$3\r\nab\r\r\n", .bulk("$3\r\nab\r")),
        GoldenReply("$6\r\ngrün!\r\n", .bulk("grün!")),
        GoldenReply(Array("$4\r\n".utf8) + [0, 0xff, 0x0d, 0x0a, 0x0d, 0x0a], .bulk([0, 0xff, 0x0d, 0x0a])),
        GoldenReply("$300\r\n\(String(repeating: "x", count: 300))\r\n", .bulk(String(repeating: "x", count: 300))),
    ]

    static let arrays: [GoldenReply] = [
        GoldenReply("*0\r\n", .array([])),
        GoldenReply("*1\r\n$-1\r\n", .array([.null])),
        GoldenReply("*1\r\n*-1\r\n", .array([.null])),
        GoldenReply("*1\r\n*0\r\n", .array([.array([])])),
        GoldenReply("*2\r\n*0\r\n*0\r\n", .array([.array([]), .array([])])),
        GoldenReply(
            "*4\r\n:1\r\n+two\r\n$5\r\nthree\r\n-ERR four\r\n",
            .array([.integer(1), .simple("two"), .bulk("three"), .error("ERR four")])
        ),
        GoldenReply(
            "*3\r\n*2\r\n:1\r\n*1\r\n:2\r\n$0\r\n\r\n*-1\r\n",
            .array([.array([.integer(1), .array([.integer(2)])]), .bulk(""), .null])
        ),
        GoldenReply(
            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:8\r\n",
            .array([.array([.array([.array([.array([.array([.array([.array([.integer(8)])])])])])])])])
        ),
        GoldenReply(
            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*0\r\n",
            .array([.array([.array([.array([.array([.array([.array([.array([])])])])])])])])
        ),
        GoldenReply(
            "*12\r\n\(String(repeating: ":7\r\n", count: 12))",
            .array(Array(repeating: .integer(7), count: 12))
        ),
    ]

    static let streams: [GoldenReply] = [
        GoldenReply("$15\r\n1526919030474-0\r\n", .bulk("1526919030474-0")),
        GoldenReply(
            "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$3\r\n2-0\r\n*4\r\n"
                + "$1\r\nb\r\n$1\r\n2\r\n$1\r\nc\r\n$1\r\n3\r\n",
            .array([
                .array([
                    .bulk("s"),
                    .array([
                        .array([.bulk("1-0"), .array([.bulk("a"), .bulk("1")])]),
                        .array([.bulk("2-0"), .array([.bulk("b"), .bulk("2"), .bulk("c"), .bulk("3")])]),
                    ]),
                ])
            ])
        ),
        GoldenReply("*1\r\n*2\r\n$1\r\ns\r\n*0\r\n", .array([.array([.bulk("s"), .array([])])])),
        GoldenReply("*2\r\n$3\r\n2-0\r\n*-1\r\n", .array([.bulk("2-0"), .null])),
        GoldenReply(
            "*4\r\n:3\r\n$3\r\n1-0\r\n$3\r\n3-0\r\n*1\r\n*2\r\n$2\r\nc1\r\n$1\r\n3\r\n",
            .array([.integer(3), .bulk("1-0"), .bulk("3-0"), .array([.array([.bulk("c1"), .bulk("3")])])])
        ),
        GoldenReply("*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n", .array([.integer(0), .null, .null, .null])),
        GoldenReply(
            "*3\r\n$3\r\n0-0\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n*1\r\n$3\r\n3-0\r\n",
            .array([
                .bulk("0-0"), .array([.array([.bulk("1-0"), .array([.bulk("a"), .bulk("1")])])]),
                .array([.bulk("3-0")]),
            ])
        ),
        GoldenReply("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n", .array([.bulk("master"), .integer(0), .array([])])),
    ]
}
