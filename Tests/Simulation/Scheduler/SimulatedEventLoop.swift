import Dispatch
import NIOCore

/// NIO's event loop on the thread and the clock of a simulation.
///
// SAFETY: there is one thread.
final class SimulatedEventLoop: NIOSerialEventLoopExecutor, @unchecked Sendable {
    private unowned let process: SimulatedProcess

    init(process: SimulatedProcess) {
        self.process = process
    }

    var now: NIODeadline { .uptimeNanoseconds(UInt64(process.scheduler.now.nanoseconds)) }

    var inEventLoop: Bool { process.scheduler.runningLoop === self }

    func enqueue(_ job: consuming ExecutorJob) {
        process.enqueueOnLoop(UnownedJob(job))
    }

    func execute(_ task: @escaping @Sendable () -> Void) {
        process.execute(task)
    }

    @discardableResult
    func scheduleTask<T>(deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        let promise = makePromise(of: T.self)
        let time = VirtualTime(nanoseconds: Int64(clamping: deadline.uptimeNanoseconds))
        let timer = process.scheduler.at(time, in: process) {
            // `succeed` requires a `Sendable` value, which `T` need not be.
            promise.assumeIsolated().completeWith(Result { try task() })
        }
        timer.onDiscard = { promise.fail(EventLoopError.cancelled) }
        return Scheduled(promise: promise) { timer.cancel() }
    }

    @discardableResult
    func scheduleTask<T>(in delay: TimeAmount, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        scheduleTask(deadline: now + delay, task)
    }

    func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        callback(nil)
    }
}
