import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Trait where Self == TimeLimitTrait {
    /// The limit of a test that hangs when it fails. All tests run at the same time, and under the thread sanitizer each
    /// takes ten times as long: there the limit is longer.
    static var limitedTime: Self {
        let isSanitized = ProcessInfo.processInfo.environment["REDIS_STREAMS_TSAN"] == "1"
        return .timeLimit(.minutes(isSanitized ? 5 : 1))
    }
}
