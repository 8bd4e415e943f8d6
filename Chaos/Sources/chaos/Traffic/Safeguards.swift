// What users cannot turn off is reached in debug builds only, which these are.
@testable import RedisStreams

/// What a control run leaves out to show the use of it.
enum Safeguard: Sendable {
    case renewal, recovery, staleConnectionKill, handOver, rightsProbe
}

extension GroupConsumer.Configuration {
    mutating func leaveOut(_ safeguards: Safeguard...) {
        for safeguard in safeguards {
            switch safeguard {
            case .renewal: self.safeguards.remove(.renewal)
            case .recovery: self.safeguards.remove(.recovery)
            case .staleConnectionKill: self.safeguards.remove(.staleConnectionKill)
            case .handOver: self.safeguards.remove(.handOver)
            case .rightsProbe: self.safeguards.remove(.rightsProbe)
            }
        }
    }
}
