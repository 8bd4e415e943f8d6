// What users cannot turn off is reached in debug builds only, which these are.
@testable import RedisStreams

extension GroupConsumer.Configuration {
    /// Leaves out what a control run shows the use of.
    mutating func leaveOut(_ safeguards: GroupConsumer.Safeguards...) {
        for safeguard in safeguards { self.safeguards.subtract(safeguard) }
    }
}
