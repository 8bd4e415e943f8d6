import Dispatch
import RedisStreamsTesting
import Synchronization
import Testing

@testable import RedisStreams

/// Iterating over buffered messages causes no actor hop, whichever actor iterates.
@Suite(.limitedTime) struct IterationTests {
    @Test func `A thousand buffered messages are delivered without leaving the actor`() async throws {
        let transport = FakeTransport()
        try await transport.withClient { redis in
            let reader = Reader(StreamConsumer(redis, stream: "orders", from: .beginning))
            let reading = Task { try await reader.jobsFromSecondMessage(to: 1000) }
            let server = await transport.nextConnection()
            _ = await server.nextCommand()
            server.send(thousand)
            let jobs = try await reading.value
            #expect(jobs == 0, "a job of the executor is a hop")
        }
    }

    @Test func `A thousand messages of a group are delivered and settled without leaving the actor`() async throws {
        let play = GroupPlay { $0.batchSize = 1000 }
        try await play.running { consumer in
            let reader = Reader(consumer)
            let reading = Task { try await reader.jobsFromSecondMessage(to: 1000) }
            let server = play.serve(new: Replies(thousand))
            let jobs = try await reading.value
            #expect(jobs == 0, "a job of the executor is a hop")
            _ = server
        }
    }
}

private let thousand = array([array([bulk("orders"), array((1...1000).map { entry("\($0)-0") })])])

/// An actor that counts the jobs of its executor.
private actor Reader<Messages: AsyncSequence & Sendable> {
    private nonisolated let executor = CountingExecutor()
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    private let messages: Messages

    init(_ messages: Messages) {
        self.messages = messages
    }

    func jobsFromSecondMessage(to last: Int) async throws -> Int {
        var iterator = messages.makeAsyncIterator()
        _ = try await iterator.next(isolation: self)
        let before = executor.count
        for _ in 2...last { _ = try await iterator.next(isolation: self) }
        return executor.count - before
    }
}

private final class CountingExecutor: SerialExecutor {
    private let queue = DispatchQueue(label: "counting")
    private let jobs = Atomic(0)

    var count: Int { jobs.load(ordering: .relaxed) }

    func enqueue(_ job: consuming ExecutorJob) {
        jobs.add(1, ordering: .relaxed)
        let job = UnownedJob(job)
        queue.async { unsafe job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
