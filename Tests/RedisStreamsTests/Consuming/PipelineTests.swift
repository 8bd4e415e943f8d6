import Testing

@testable import RedisStreams

@Suite struct PipelineTests {
    @Test func `It is finished when nothing is on its way any more`() async {
        var pipeline = Pipeline()
        let isIdle = !pipeline.isRunning
        #expect(isIdle)
        let failure = await withCheckedContinuation { waiter in
            pipeline.run(waiter)
            let isRunning = pipeline.isRunning
            #expect(isRunning)
            pipeline.began()
            pipeline.began()
            pipeline.ended()
            expectUnfinished(&pipeline)
            pipeline.ended()
            finish(&pipeline)
        }
        #expect(failure == nil)
        expectUnfinished(&pipeline)
    }

    @Test func `After a failure nothing begins, and what is on its way is waited for`() async {
        var pipeline = Pipeline()
        let failure = await withCheckedContinuation { waiter in
            pipeline.run(waiter)
            pipeline.began()
            pipeline.began()
            pipeline.ended()
            pipeline.failed(RedisError(.noGroup, "the first"))
            let isStopped = !pipeline.isRunning
            #expect(isStopped)
            expectUnfinished(&pipeline)
            pipeline.ended()
            pipeline.failed(RedisError(.connectionClosed, "the second"))
            finish(&pipeline)
        }
        #expect(failure?.code == .noGroup, "the first failure is told")
    }

    @Test func `It can run again, and has forgotten the failure`() async {
        var pipeline = Pipeline()
        for code in [RedisError.Code.loading, nil] {
            let failure = await withCheckedContinuation { waiter in
                pipeline.run(waiter)
                pipeline.began()
                if let code { pipeline.failed(RedisError(code, "test")) }
                pipeline.ended()
                finish(&pipeline)
            }
            #expect(failure?.code == code)
        }
    }
}

private func expectUnfinished(_ pipeline: inout Pipeline, sourceLocation: SourceLocation = #_sourceLocation) {
    guard let (waiter, failure) = pipeline.takeFinished() else { return }
    Issue.record("It is finished already.", sourceLocation: sourceLocation)
    waiter.resume(returning: failure)
}

private func finish(_ pipeline: inout Pipeline) {
    guard let (waiter, failure) = pipeline.takeFinished() else { fatalError("nothing would ever resume the task") }
    waiter.resume(returning: failure)
}
