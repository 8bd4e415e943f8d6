import Testing

@testable import RedisStreams

@Suite struct BatchSizeTests {
    @Test func `Full batches double it up to the bound, and it shrinks when there is no backlog`() {
        var size = BatchSize(100...1000, bytes: .max)
        var counts: [Int] = []
        for _ in 0..<5 {
            size.received(size.count, bytes: 0)
            counts.append(size.count)
        }
        #expect(counts == [200, 400, 800, 1000, 1000])
        for expected in [500, 250, 125, 100, 100] {
            size.received(1, bytes: 0)
            #expect(size.count == expected)
        }
    }

    @Test func `An empty reply changes nothing`() {
        var size = BatchSize(10...100, bytes: 100)
        size.received(10, bytes: 10)
        size.received(0, bytes: 0)
        #expect(size.count == 20)
    }

    @Test func `It asks for no more bytes than a batch may have, but for at least one message`() {
        var size = BatchSize(100...1000, bytes: 10_000)
        size.received(100, bytes: 100_000)
        #expect(size.count == 10)
        size.received(10, bytes: 1_000_000)
        #expect(size.count == 1)
        size.received(1, bytes: 10)
        #expect(size.count == 2, "a full batch of small messages")
        size.received(1, bytes: 10)
        #expect(size.count == 100, "a batch that is not full")
    }

    @Test func `After a reply that was too large it asks for its messages one by one, and then grows again`() {
        var size = BatchSize(8...64, bytes: .max)
        size.received(8, bytes: 0)
        let isSmaller = size.tooLarge()
        #expect(isSmaller && size.count == 1)
        let isEnd = !size.tooLarge()
        #expect(isEnd, "one message is the least")
        for _ in 0..<15 {
            size.received(1, bytes: 0)
            #expect(size.count == 1)
        }
        var counts: [Int] = []
        for _ in 0..<7 {
            size.received(size.count, bytes: 0)
            counts.append(size.count)
        }
        #expect(counts == [2, 4, 8, 16, 32, 64, 64])
    }

    @Test func `Connections that close halve it, for longer each time`() {
        var size = BatchSize(4...8, bytes: .max)
        for (expected, messages) in [(2, 256), (2, 1024)] {
            size.received(4, bytes: 0)
            while size.count > expected {
                let isSmaller = size.connectionsEnded()
                #expect(isSmaller)
            }
            for _ in 1..<messages {
                size.received(1, bytes: 0)
                #expect(size.count <= expected)
            }
            size.received(1, bytes: 0)
            #expect(size.count == 4)
        }
        while size.connectionsEnded() {}
        #expect(size.count == 1)
    }

    @Test(arguments: seeds) func `In random runs it stays within its bounds`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let least = Int.random(in: 1...200, using: &random)
        let most = least + Int.random(in: 0...2000, using: &random)
        var size = BatchSize(least...most, bytes: 10_000)
        for _ in 0..<300 {
            if random.chance(0.02) {
                _ = random.chance(0.5) ? size.tooLarge() : size.connectionsEnded()
                continue
            }
            let messages = random.chance(0.5) ? size.count : Int.random(in: 0...size.count, using: &random)
            let bytes = messages * Int.random(in: 0...500, using: &random)
            size.received(messages, bytes: bytes)
            #expect((1...most).contains(size.count))
            if messages > 0 { #expect(size.count == 1 || size.count * (bytes / messages) <= 10_000) }
        }
    }
}
