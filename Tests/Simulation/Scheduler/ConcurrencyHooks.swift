import Glibc

/// Redirects every job that Swift would run on its own threads to the scheduler, so that one thread runs all of them.
///
/// The runtime calls these hooks, if they are set, before it enqueues a job. They are no part of the language: if a
/// toolchain lacks them, the simulation says so at its start, and nothing else breaks.
enum ConcurrencyHooks {
    private typealias Original = @convention(thin) (UnownedJob) -> Void
    private typealias Hook = @convention(thin) (UnownedJob, Original) -> Void

    private static let names = ["swift_task_enqueueGlobal_hook", "swift_task_enqueueMainExecutor_hook"]

    /// Returns whether the runtime has the hooks.
    static func install() -> Bool {
        guard let library = unsafe dlopen(nil, RTLD_NOW) else { return false }
        for name in names {
            guard let symbol = unsafe dlsym(library, name) else { return false }
            let hook = unsafe symbol.assumingMemoryBound(to: Hook?.self)
            unsafe hook.pointee = { job, _ in unsafe Scheduler.current.enqueueOutside(job) }
        }
        return true
    }
}
