/// Turns the reports of a trimmer into events: a lag or an abandoned group once, until that has passed. No I/O, no
/// clock.
struct TrimMonitor: ~Copyable {
    private let warningLag: Int?
    private let maxLength: Int?
    private var lagging: Set<String> = []
    private var abandoned: Set<String> = []

    init(warningLag: Int?, maxLength: Int?) {
        self.warningLag = warningLag
        self.maxLength = maxLength
    }

    mutating func events(of report: TrimReport) -> [StreamTrimmer.Event] {
        var events: [StreamTrimmer.Event] = []
        if report.removedCount > 0 || report.forcedCount > 0 { events.append(.trimmed(report)) }
        for group in report.groups {
            if group.hasLost { events.append(.lost(group: group.name, before: report.firstID)) }
            if group.isAbandoned {
                if abandoned.insert(group.name).inserted { events.append(.abandoned(group: group.name)) }
            } else {
                abandoned.remove(group.name)
            }
            guard let warningLag else { continue }
            // If the server does not report the lag, the lag of a group that needs all entries is the stream's length.
            let needsAllEntries = group.neededID <= report.firstID
            let lag = group.lag.map { $0 + group.pendingCount } ?? (needsAllEntries ? report.length : 0)
            if lag < warningLag {
                lagging.remove(group.name)
            } else if lagging.insert(group.name).inserted {
                events.append(.lagNearsTrimming(group: group.name, lag: lag, maxLength: maxLength ?? warningLag))
            }
        }
        let names = Set(report.groups.map(\.name))
        lagging.formIntersection(names)
        abandoned.formIntersection(names)
        return events
    }
}
