#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Measures the time, and the CPU time of this process, since it was made.
package struct Stopwatch {
    private let start = ContinuousClock.now
    private let startCPU = Self.cpuSeconds()

    package init() {}

    package var seconds: Double { (ContinuousClock.now - start) / .seconds(1) }
    package var cpuSeconds: Double { Self.cpuSeconds() - startCPU }

    private static func cpuSeconds() -> Double {
        var usage = rusage()
        #if canImport(Darwin)
        _ = unsafe getrusage(RUSAGE_SELF, &usage)
        #else
        _ = unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        #endif
        return [usage.ru_utime, usage.ru_stime].reduce(0) { $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6 }
    }
}
