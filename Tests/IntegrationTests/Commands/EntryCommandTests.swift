import RedisStreams
import Testing

extension IntegrationTests {
    /// `XADD`, `XLEN`, `XRANGE`, `XREVRANGE`, `XREAD`, `XDEL`, `XTRIM`, `XSETID`.
    @Suite struct EntryCommands {
        @Test("an entry comes back as it was added", arguments: TestServer.all, Route.allCases)
        func roundTrip(binary: ServerBinary, route: Route) async throws {
            try await TestServer.shared(binary).withClient(route) { redis in
                let stream = StreamKey.unique()
                let bytes = [UInt8](0...255)
                let id = try await redis.xadd(
                    stream,
                    ["text": "a\r\nb ✓", "number": -42, "": "", "bytes": .bytes(bytes), "text": "again"]
                )
                let entry = try #require(try await redis.xrange(stream).first)
                #expect(entry.id == id)
                #expect(entry.stream == stream)
                #expect(entry.fields.map(\.name) == ["text", "number", "", "bytes", "text"])
                #expect(entry["text"] == "a\r\nb ✓")
                #expect(entry["number"] == "-42")
                #expect(entry.fields[2].value.isEmpty)
                #expect(entry.fields.field("bytes")?.valueBytes == bytes)
                #expect(entry.fields[4].value == "again")
                #expect(try await redis.xlen(stream) == 1)
            }
        }

        @Test("XADD accepts explicit ids, and refuses lower ones", arguments: TestServer.all)
        func explicitIDs(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let id = StreamID(milliseconds: 5, sequence: 3)
                #expect(try await redis.xadd(stream, ["n": 1], id: .id(id)) == id)
                let error = await expectError(.serverError) { try await redis.xadd(stream, ["n": 2], id: .id(id)) }
                #expect(error?.serverCode == "ERR")
                #expect(error?.command == "XADD")
                let max = try await redis.xadd(stream, ["n": 3], id: .id(.max))
                #expect(max == .max)
                await expectError(.serverError) { try await redis.xadd(stream, ["n": 4]) }
            }
        }

        @Test("XADD without NOMKSTREAM creates the stream, with it does not", arguments: TestServer.all)
        func createStream(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                #expect(try await redis.xaddIfStreamExists(stream, ["n": 1]) == nil)
                #expect(try await redis.exists(stream) == 0)
                try await redis.xadd(stream, ["n": 1])
                #expect(try await redis.xaddIfStreamExists(stream, ["n": 2]) != nil)
            }
        }

        @Test("an empty list of fields is refused before it is sent", arguments: TestServer.all)
        func emptyFields(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                await expectError(.invalidArgument) { try await redis.xadd(.unique(), [:]) }
            }
        }

        @Test("XADD and XTRIM trim by length and by id", arguments: TestServer.all)
        func trimming(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                for n in 1...20 {
                    try await redis.xadd(
                        stream,
                        ["n": .integer(n)],
                        id: .id(StreamID(milliseconds: UInt64(n))),
                        trim: .exactly(maxLength: 10)
                    )
                }
                #expect(try await redis.xlen(stream) == 10)
                #expect(try await redis.xtrim(stream, .exactly(minID: StreamID(milliseconds: 15))) == 4)
                #expect(try await redis.xrange(stream).first?.id == StreamID(milliseconds: 15))
                try await redis.xadd(stream, ["n": 21], trim: .exactly(minID: StreamID(milliseconds: 18)))
                #expect(try await redis.xlen(stream) == 4)
                try await redis.xadd(stream, ["n": 22], trim: .approximately(maxLength: 1, limit: 1000))
                try await redis.xadd(stream, ["n": 23], trim: .approximately(minID: StreamID(milliseconds: 19)))
                #expect(try await redis.xlen(stream) >= 5)
                #expect(try await redis.xtrim(stream, .exactly(maxLength: 0)) >= 5)
                #expect(try await redis.xlen(stream) == 0)
            }
        }

        @Test("XTRIM with LIMIT removes whole nodes, and no more entries than LIMIT", arguments: TestServer.all)
        func trimmingApproximately(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                _ = try await redis.pipeline((1...1000).map { XADD(stream, ["n": .integer($0)]) })
                let removed = try await redis.xtrim(stream, .approximately(maxLength: 10, limit: 200))
                #expect((1...200).contains(removed))
                #expect(try await redis.xlen(stream) == 1000 - removed)
            }
        }

        @Test("XRANGE and XREVRANGE accept every kind of bound", arguments: TestServer.all)
        func ranges(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let ids = (1...5).map { StreamID(milliseconds: 10, sequence: $0) } + [StreamID(milliseconds: 20)]
                for id in ids { try await redis.xadd(stream, ["n": 1], id: .id(id)) }
                #expect(try await redis.xrange(stream).map(\.id) == ids)
                #expect(try await redis.xrange(stream, count: 2).map(\.id) == Array(ids[..<2]))
                #expect(
                    try await redis.xrange(stream, from: .excluding(ids[0]), to: .including(ids[2])).map(\.id)
                        == [ids[1], ids[2]]
                )
                #expect(try await redis.xrange(stream, from: .milliseconds(11)).map(\.id) == [ids[5]])
                #expect(try await redis.xrange(stream, to: .milliseconds(10)).count == 5)
                #expect(try await redis.xrevrange(stream).map(\.id) == ids.reversed())
                #expect(
                    try await redis.xrevrange(stream, from: .excluding(ids[4]), downTo: .including(ids[1]), count: 2)
                        .map(\.id) == [ids[3], ids[2]]
                )
                #expect(try await redis.xrange(.unique()).isEmpty)
            }
        }

        @Test("XREAD reads several streams after an id", arguments: TestServer.all)
        func read(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let (first, second) = (StreamKey.unique("first"), StreamKey.unique("second"))
                let ids = [
                    try await redis.xadd(first, ["n": 1]), try await redis.xadd(first, ["n": 2]),
                    try await redis.xadd(second, ["n": 3]),
                ]
                let batches = try await redis.xread([
                    StreamOffset(first, after: ids[0]), StreamOffset(second), StreamOffset(.unique()),
                ])
                #expect(batches.map(\.stream) == [first, second])
                #expect(batches.flatMap { $0.map(\.id) } == [ids[1], ids[2]])
                #expect(try await redis.xread([StreamOffset(first)], count: 1).first?.count == 1)
                #expect(try await redis.xread([StreamOffset(second, after: ids[2])]).isEmpty)
            }
        }

        @Test("XREAD waits for an entry, for the time of BLOCK at most", arguments: TestServer.all, Route.allCases)
        func readBlocking(binary: ServerBinary, route: Route) async throws {
            try await TestServer.shared(binary).withClient(route) { redis in
                let stream = StreamKey.unique()
                let start = ContinuousClock.now
                #expect(try await redis.xread([StreamOffset(stream)], block: .milliseconds(60)).isEmpty)
                #expect(ContinuousClock.now - start >= .milliseconds(55))

                async let batches = redis.xread([StreamOffset(stream)], block: .seconds(20))
                try await eventually("the read is blocked") {
                    try await redis.info("clients")["blocked_clients"] != "0"
                }
                let id = try await redis.xadd(stream, ["n": 1])
                #expect(try await batches.first?.first?.id == id)
                await expectError(.invalidArgument) {
                    try await redis.xread([StreamOffset(stream)], block: .zero)
                }
            }
        }

        @Test("XDEL deletes and counts the entries that exist", arguments: TestServer.all)
        func delete(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let id = try await redis.xadd(stream, ["n": 1])
                #expect(try await redis.xdel(stream, ids: [id, StreamID(milliseconds: 1)]) == 1)
                #expect(try await redis.xlen(stream) == 0)
                await expectError(.invalidArgument) { try await redis.xdel(stream, ids: []) }
            }
        }

        @Test("XSETID moves the last id", arguments: TestServer.all)
        func setID(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                try await redis.xadd(stream, ["n": 1], id: .id(StreamID(milliseconds: 1)))
                let last = StreamID(milliseconds: 100, sequence: 7)
                try await redis.xsetid(stream, lastID: last)
                #expect(try await redis.xinfoStream(stream).lastGeneratedID == last)
                await expectError(.serverError) { try await redis.xsetid(stream, lastID: .zero) }
                await expectError(.serverError) { try await redis.xsetid(.unique(), lastID: last) }
            }
        }
    }
}

extension IntegrationTests {
    /// Commands at their limits: the highest and the lowest id, the last entry, what a server lacks.
    @Suite struct Ends {
        @Test("paging ends at the highest id, and at the lowest", arguments: TestServer.all)
        func paging(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                let ids = [StreamID(milliseconds: 0, sequence: 1), StreamID(milliseconds: 7), .max]
                for id in ids { try await redis.xadd(stream, ["a": "1"], id: .id(id)) }
                try await redis.xgroupCreate(stream, group: "g")
                _ = try await redis.xreadgroup(group: "g", consumer: "c", streams: [GroupOffset(stream)])

                var seen: [StreamID] = []
                var lower = RangeBound.unbounded
                while let last = try await redis.xrange(stream, from: lower, count: 1).last {
                    seen.append(last.id)
                    lower = .excluding(last.id)
                }
                #expect(seen == ids)

                lower = .unbounded
                seen = []
                while let last = try await redis.xpending(stream, group: "g", from: lower, count: 1).last {
                    seen.append(last.id)
                    lower = .excluding(last.id)
                }
                #expect(seen == ids)
                #expect(try await redis.xpending(stream, group: "g", to: .excluding(.zero), count: 1).isEmpty)
                #expect(try await redis.xrevrange(stream, from: .excluding(.zero)).isEmpty)
                #expect(try await redis.xrange(stream, to: .excluding(.zero)).isEmpty)
                #expect(try await redis.xrevrange(stream, downTo: .excluding(.max)).isEmpty)

                // A missing group is an error even if the range is empty.
                await expectError(.noGroup) {
                    try await redis.xpending(stream, group: "none", from: .excluding(.max), count: 1)
                }
                let dead = StreamKey.unique("dead")
                try await redis.xadd(dead, ["a": "no dead letter"], id: .id(.max))
                #expect(try await redis.redrive(dead, count: 1).ids.isEmpty)
            }
        }

        @Test("the last entry alone is read, if the server can", arguments: TestServer.all)
        func lastEntry(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let stream = StreamKey.unique()
                for n in 1...3 { try await redis.xadd(stream, ["n": .integer(n)]) }
                let knows = ["8.2", "9.1"].contains { binary.name.contains($0) }
                guard knows else {
                    await expectError(.unsupportedByServer) { try await redis.xread([.lastEntry(of: stream)]) }
                    return
                }
                let read = try await redis.xread([.lastEntry(of: stream)])
                #expect(read.flatMap { $0.map { $0["n"] } } == ["3"])
                #expect(try await redis.xread([.lastEntry(of: .unique())]).isEmpty)
            }
        }

        @Test("MAXBYTES is an error that names the version it needs", arguments: TestServer.all)
        func maxBytes(binary: ServerBinary) async throws {
            try await TestServer.shared(binary).withClient { redis in
                let error = await expectError(.unsupportedByServer) {
                    try await redis.xtrim(.unique(), .exactly(maxBytes: 1))
                }
                #expect(error?.message.contains("needs Valkey 9.2") == true)
            }
        }
    }
}
