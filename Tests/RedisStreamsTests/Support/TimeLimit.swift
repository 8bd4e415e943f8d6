import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Trait where Self == TimeLimitTrait {
    /// The time limit of a test that would hang instead of failing. All tests run at the same time, and under the
    /// thread sanitizer each takes ten times as long, so the limit is longer there.
    static var limitedTime: Self {
        let isSanitized = ProcessInfo.processInfo.environment["REDIS_STREAMS_TSAN"] == "1"
        return .timeLimit(.minutes(isSanitized ? 5 : 1))
    }
}
