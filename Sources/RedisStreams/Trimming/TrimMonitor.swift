/// What of a trimmer's reports is worth a word: each thing once, until it has passed. Free of sockets and clocks.
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
            // A server that does not tell the lag tells at least how much there is.
            let isBehindAll = group.neededID <= report.firstID
            let lag = group.lag.map { $0 + group.pendingCount } ?? (isBehindAll ? report.length : 0)
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
