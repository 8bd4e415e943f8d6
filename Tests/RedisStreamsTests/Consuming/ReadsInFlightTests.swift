import Testing

@testable import RedisStreams

@Suite struct ReadsInFlightTests {
    @Test func `It finishes when no command is in flight any more`() async {
        var readsInFlight = ReadsInFlight()
        let isIdle = !readsInFlight.isRunning
        #expect(isIdle)
        let failure = await withCheckedContinuation { waiter in
            readsInFlight.run(waiter)
            let isRunning = readsInFlight.isRunning
            #expect(isRunning)
            readsInFlight.began()
            readsInFlight.began()
            readsInFlight.ended()
            expectUnfinished(&readsInFlight)
            readsInFlight.ended()
            finish(&readsInFlight)
        }
        #expect(failure == nil)
        expectUnfinished(&readsInFlight)
    }

    @Test func `After a failure no command starts, and the commands in flight are waited for`() async {
        var readsInFlight = ReadsInFlight()
        let failure = await withCheckedContinuation { waiter in
            readsInFlight.run(waiter)
            readsInFlight.began()
            readsInFlight.began()
            readsInFlight.ended()
            readsInFlight.failed(RedisError(.noGroup, "the first"))
            let isStopped = !readsInFlight.isRunning
            #expect(isStopped)
            expectUnfinished(&readsInFlight)
            readsInFlight.ended()
            readsInFlight.failed(RedisError(.connectionClosed, "the second"))
            finish(&readsInFlight)
        }
        #expect(failure?.code == .noGroup, "the task gets the first failure")
    }

    @Test func `It can run again, without the failure of the last run`() async {
        var readsInFlight = ReadsInFlight()
        for code in [RedisError.Code.loading, nil] {
            let failure = await withCheckedContinuation { waiter in
                readsInFlight.run(waiter)
                readsInFlight.began()
                if let code { readsInFlight.failed(RedisError(code, "test")) }
                readsInFlight.ended()
                finish(&readsInFlight)
            }
            #expect(failure?.code == code)
        }
    }
}

private func expectUnfinished(_ readsInFlight: inout ReadsInFlight, sourceLocation: SourceLocation = #_sourceLocation) {
    guard let (waiter, failure) = readsInFlight.takeFinished() else { return }
    Issue.record("It has finished already.", sourceLocation: sourceLocation)
    waiter.resume(returning: failure)
}

private func finish(_ readsInFlight: inout ReadsInFlight) {
    guard let (waiter, failure) = readsInFlight.takeFinished() else { fatalError("nothing would ever resume the task") }
    waiter.resume(returning: failure)
}
