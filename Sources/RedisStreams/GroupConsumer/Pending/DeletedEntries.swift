internal import Synchronization

/// Reports each deleted entry once, although a claim scan, a renewal and a recovery may each find it.
final class DeletedEntries: Sendable {
    private let observer: ConsumerObserver
    private let reported = Mutex<Set<StreamID>>([])

    init(_ observer: ConsumerObserver) {
        self.observer = observer
    }

    func report(_ ids: [StreamID]) {
        let fresh = reported.withLock { reported in ids.filter { reported.insert($0).inserted } }
        if !fresh.isEmpty { observer.report(.deleted(ids: fresh)) }
    }

    /// Forgets the reported entries, at the end of a scan: the server does not return any of them again.
    func forget() { reported.withLock { $0 = [] } }
}
