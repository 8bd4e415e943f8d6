import Synchronization
import Testing

@testable import RedisStreams

@Suite(.limitedTime) struct PendingReplyTests {
    @Test func `The reply may come while the command is being submitted`() async throws {
        let pending = PendingReply()
        let outcome = await pending.outcome {
            pending.deliver(.success(reply(":1\r\n")))
            return nil
        }
        #expect(try outcome.get().integer == 1)
    }

    @Test func `A refusal is the outcome`() async {
        let outcome = await PendingReply().outcome { RedisError(.connectionClosed, "gone") }
        #expect(failure(of: outcome)?.code == .connectionClosed)
    }

    @Test func `Of several outcomes the first one counts`() async throws {
        let pending = PendingReply()
        let outcome = await pending.outcome {
            pending.deliver(.success(reply(":1\r\n")))
            pending.deliver(.success(reply(":2\r\n")))
            return RedisError(.connectionClosed, "gone")
        }
        #expect(try outcome.get().integer == 1)
    }

    @Test func `A task that was cancelled before submits nothing`() async {
        let gate = Gate()
        let submitted = Journal<Bool>()
        let task = Task {
            await gate.wait()
            return await PendingReply().outcome {
                submitted.record(true)
                return nil
            }
        }
        task.cancel()
        gate.open()
        let error = failure(of: await task.value)
        #expect(error?.code == .cancelled)
        #expect(error?.mayHaveExecuted == false)
        #expect(submitted.all.isEmpty)
    }

    @Test func `A task that is cancelled after submitting returns, and the reply is dropped`() async {
        let pending = PendingReply()
        let submitted = Gate()
        let task = Task {
            await pending.outcome {
                submitted.open()
                return nil
            }
        }
        await submitted.wait()
        task.cancel()
        let error = failure(of: await task.value)
        #expect(error?.code == .cancelled)
        #expect(error?.mayHaveExecuted == true)
        pending.deliver(.success(reply(":1\r\n")))
    }

    @Test func `Replies and cancellations at the same time resume each task once`() async {
        for _ in 0..<500 {
            let pending = PendingReply()
            let submitted = Gate()
            let task = Task {
                await pending.outcome {
                    submitted.open()
                    return nil
                }
            }
            async let delivered: Void = {
                await submitted.wait()
                pending.deliver(.success(reply(":1\r\n")))
            }()
            task.cancel()
            let outcome = await task.value
            // The task was cancelled before, so that nobody waits.
            submitted.open()
            await delivered
            if let error = failure(of: outcome) { #expect(error.code == .cancelled) }
        }
    }
}
