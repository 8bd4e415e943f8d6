// Users cannot turn these safeguards off: `@testable import` reaches them, in debug builds like this one.
@testable import RedisStreams

/// A safeguard that a control run turns off, to show that a case needs it.
enum Safeguard: Sendable {
    case renewal, recovery, staleConnectionKill, handOver, rightsProbe
}

extension GroupConsumer.Configuration {
    mutating func turnOff(_ safeguards: Safeguard...) {
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
