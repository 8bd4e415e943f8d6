internal import NIOCore
internal import Synchronization

/// Commands between the tasks that submit them, on any thread, and the event loop that sends them.
///
/// The order in here is the order on the wire. Bytes of all commands stand one behind the other, so that what gathers
/// while the event loop is busy leaves in one write, and only the first of them has to wake it.
final class SubmissionQueue: Sendable {
    /// A command that has not left.
    struct Entry {
        let name: String
        let blockingTime: Duration?
        let receiver: ReplyReceiver
        /// Later, by the clock of leases, it must not leave.
        var latest = NIODeadline.distantFuture
    }

    /// Commands to be sent now, and their bytes.
    struct Batch {
        /// What goes before `bytes`: large buffers, which are not copied.
        var parts: [ByteBuffer] = []
        var bytes = ByteBuffer()
        var byteCount = 0
        var entries: [Entry] = []
    }

    enum Submission {
        /// It stands in line.
        case queued
        /// It stands in line, as the first: somebody has to call `take`.
        case first
        case refused(RedisError)
    }

    fileprivate struct State {
        var batch = Batch()
        var isTaken = true
        var unsent: UnsentBytes
        var stream: (any ByteStream)?
        var end: RedisError?
    }

    private let state: Mutex<State>

    init(maxBytes: Int = 1 << 30) {
        state = Mutex(State(unsent: UnsentBytes(limit: maxBytes)))
    }

    /// What was submitted goes to `stream`.
    func attach(_ stream: any ByteStream) {
        state.withLock { $0.stream = stream }
    }

    /// Puts one command at the end.
    func submit(_ entry: Entry, _ command: borrowing CommandEncoder) -> Submission {
        unsafe command.withBytes { bytes in
            if bytes.count >= Batch.largeCount { return unsafe submit([entry], ByteBuffer(bytes: bytes)) }
            return state.withLock { state in
                if let refusal = state.refusal(of: bytes.count) { return .refused(refusal) }
                state.batch.entries.append(entry)
                unsafe state.batch.append(bytes)
                return state.appended()
            }
        }
    }

    /// Puts commands at the end, together.
    func submit(_ entries: [Entry], _ bytes: ByteBuffer) -> Submission {
        state.withLock { state in
            if let refusal = state.refusal(of: bytes.readableBytes) { return .refused(refusal) }
            state.batch.entries += entries
            state.batch.append(bytes)
            return state.appended()
        }
    }

    /// Takes out everything. `batch` is what was taken the last time, emptied: its memory is used again.
    func take(into batch: inout Batch) {
        batch.bytes.clear()
        state.withLock { state in
            swap(&state.batch, &batch)
            state.isTaken = true
        }
    }

    /// Takes nothing more, for `reason`. What has been submitted is still sent.
    func finish(_ reason: RedisError) {
        state.withLock { $0.end = $0.end ?? reason }
    }

    /// Takes nothing more, for `reason`. Returns what will not be sent.
    func close(_ reason: RedisError) -> [Entry] {
        state.withLock { state in
            defer { state.batch = Batch() }
            state.end = reason
            state.stream = nil
            return state.batch.entries
        }
    }

    var isEmpty: Bool { state.withLock { $0.batch.entries.isEmpty } }
}

extension SubmissionQueue.State {
    fileprivate mutating func refusal(of byteCount: Int) -> RedisError? {
        if let end { return end }
        let fits = unsent.admit(byteCount) { (stream?.unsentBytes ?? 0) + batch.byteCount }
        if fits { return nil }
        return RedisError(
            .connectionUnavailable,
            "The server does not take what it is sent: \(unsent.limit) bytes wait. Send less at once, or later."
        )
    }

    fileprivate mutating func appended() -> SubmissionQueue.Submission {
        defer { isTaken = false }
        return isTaken ? .first : .queued
    }
}

extension SubmissionQueue.Batch {
    /// From here on, a copy costs more than a write of its own; and memory for more is not kept.
    fileprivate static let largeCount = 64 << 10

    fileprivate mutating func append(_ more: UnsafeRawBufferPointer) {
        byteCount += more.count
        unsafe bytes.writeBytes(more)
    }

    fileprivate mutating func append(_ more: ByteBuffer) {
        byteCount += more.readableBytes
        if more.readableBytes < Self.largeCount {
            bytes.writeImmutableBuffer(more)
            return
        }
        if bytes.readableBytes > 0 { parts.append(bytes) }
        parts.append(more)
        bytes = ByteBuffer()
    }

    /// Forgets what was sent, and who waits for it; keeps memory, unless it is much. What a socket has not sent yet is
    /// left alone, for it would be copied.
    mutating func empty() {
        parts = []
        byteCount = 0
        if bytes.capacity > 4 * Self.largeCount { bytes = ByteBuffer() }
        if entries.capacity > 4096 { entries = [] } else { entries.removeAll(keepingCapacity: true) }
    }
}

/// Who gets the reply to a command.
enum ReplyReceiver: Sendable {
    case one(PendingReply)
    case group(PendingReplies)
    /// Called on the event loop: no task has to be woken before the next command can be sent.
    case handler(@Sendable (PendingReplies.Outcome) -> Void)

    func deliver(_ outcome: PendingReplies.Outcome) {
        switch self {
        case .one(let pending): pending.deliver(outcome)
        case .group(let pending): pending.deliver(outcome)
        case .handler(let handle): handle(outcome)
        }
    }
}
