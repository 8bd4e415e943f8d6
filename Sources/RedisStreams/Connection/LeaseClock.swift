package import NIOCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// The clock that leases go by.
///
/// The event loop's clock stands still while the machine is suspended, and the server's clock does not: a lease that expired
/// meanwhile would seem to hold. So real connections go by the time since boot, where the system has such a clock. Transports
/// of tests and simulations, whose event loops have a time of their own, go by that.
package struct LeaseClock: Sendable {
    private let time: @Sendable (any EventLoop) -> NIODeadline

    package init(_ time: @escaping @Sendable (any EventLoop) -> NIODeadline) {
        self.time = time
    }

    package func now(on eventLoop: any EventLoop) -> NIODeadline { time(eventLoop) }

    /// The clock of the event loop.
    package static let eventLoop = LeaseClock { $0.now }

    /// The time since boot, which goes on while the machine is suspended; elsewhere than on Linux the event loop's.
    package static let sinceBoot = LeaseClock { eventLoop in
        #if os(Linux)
        var time = timespec()
        guard unsafe clock_gettime(CLOCK_BOOTTIME, &time) == 0 else { return eventLoop.now }
        return .uptimeNanoseconds(UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
        #else
        return eventLoop.now
        #endif
    }
}
