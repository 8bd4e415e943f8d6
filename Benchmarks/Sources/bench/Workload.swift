/// A piece of work that is done by C and by Swift, and how both are compared.
struct Workload: Sendable {
    /// What C does: the first argument of `CBaseline`.
    enum Baseline: String {
        case fanOut = "fan-out"
        case group
        case produce
    }

    /// What has to be there before a run, and to be checked behind it.
    enum Scene {
        /// A stream with all messages.
        case filledStream
        /// A stream with all messages, and a group that has seen none of them; at the end nothing is pending.
        case unreadGroup
        /// No stream; at the end it has all messages.
        case noStream
    }

    let name: String
    let scene: Scene
    let baseline: Baseline
    /// What Swift does.
    let job: Worker.Job
    /// The least ratio of Swift's rate to C's; `nil` if the ratio is only shown.
    let floor: Double?

    static let all = [
        Workload(name: "fan-out read", scene: .filledStream, baseline: .fanOut, job: .fanOut, floor: 1.0),
        Workload(
            name: "fan-out read, messages",
            scene: .filledStream,
            baseline: .fanOut,
            job: .fanOutMessages,
            floor: nil
        ),
        Workload(name: "group read", scene: .unreadGroup, baseline: .group, job: .group, floor: 0.9),
        Workload(name: "group read, run", scene: .unreadGroup, baseline: .group, job: .groupRun, floor: nil),
        Workload(name: "produce, xadd", scene: .noStream, baseline: .produce, job: .xadd, floor: nil),
    ]
}
