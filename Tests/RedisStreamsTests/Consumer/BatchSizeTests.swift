import Testing

@testable import RedisStreams

@Suite struct BatchSizeTests {
    @Test func `With every full batch it doubles up to the bound, and shrinks when there is no backlog`() {
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

    @Test func `Nothing says nothing about size`() {
        var size = BatchSize(10...100, bytes: 100)
        size.received(10, bytes: 10)
        size.received(0, bytes: 0)
        #expect(size.count == 20)
    }

    @Test func `It never asks for more bytes than a batch may have, but for one message in any case`() {
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

    @Test func `After a reply that was too large it never asks for as much again`() {
        var size = BatchSize(100...100, bytes: .max)
        let isSmaller = size.tooLarge()
        #expect(isSmaller)
        for messages in [50, 1, 50] {
            size.received(messages, bytes: 0)
            #expect(size.count == 50)
        }
        for expected in [25, 12, 6, 3, 1] {
            let isSmaller = size.tooLarge()
            #expect(isSmaller && size.count == expected)
        }
        let isEnd = !size.tooLarge()
        #expect(isEnd)
    }

    @Test(arguments: seeds) func `On a random walk it stays within its bounds`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let least = Int.random(in: 1...200, using: &random)
        let most = least + Int.random(in: 0...2000, using: &random)
        var size = BatchSize(least...most, bytes: 10_000)
        var bound = most
        for _ in 0..<300 {
            if random.chance(0.02) {
                if size.tooLarge() { bound = size.count }
                continue
            }
            let messages = random.chance(0.5) ? size.count : Int.random(in: 0...size.count, using: &random)
            let bytes = messages * Int.random(in: 0...500, using: &random)
            size.received(messages, bytes: bytes)
            #expect((1...bound).contains(size.count))
            if messages > 0 { #expect(size.count == 1 || size.count * (bytes / messages) <= 10_000) }
        }
    }
}
