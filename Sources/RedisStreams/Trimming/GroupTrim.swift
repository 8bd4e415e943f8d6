/// How far to trim a stream, given what its groups and readers still need.
///
/// Trimming removes an entry when every group of the stream has read it, and no group has it pending. It keeps an entry
/// that is pending in one group, and all entries after the lowest pending one. Only on Redis 8.2 and later, it also
/// removes entries after that one if every group has acknowledged them. It does not trim a stream without groups.
public struct GroupTrim: Sendable, Hashable {
    /// How long to keep entries in any case, according to their ids: for groups that are created later, and for people
    /// who inspect the stream. Default: `nil`, no longer than needed.
    public var age: Duration?

    /// The length above which trimming removes the oldest entries even if a group needs them. It keeps about this many
    /// entries, and up to a hundred more. Default: `nil`, never.
    public var maxLength: Int?

    /// The time without activity after which trimming ignores a group: no consumer of the group was active for this
    /// long. Default: `nil`, every group counts.
    ///
    /// A consumer is active when it reads, claims or renews a message; with Redis 7.2 and later also when it tries to.
    /// When the last consumer of a group ends cleanly, the name `generated:returned` stays in the group, and shows
    /// since when no consumer is left. A group that never had a consumer is never ignored.
    ///
    /// Each trim then takes the server time in proportion to the number of consumers, and the server executes nothing
    /// else meanwhile.
    public var abandonedAfter: Duration?

    /// The names of positions (``StreamConsumer/Start/resume(_:else:)``) whose readers count like groups. A reader that
    /// has not saved its position yet needs all entries.
    public var positions: [String] = []

    /// Keeps what a group needs, and nothing else.
    public init() {}

    /// Keeps what a group needs, and nothing else.
    public static let acknowledgedByAllGroups = GroupTrim()

    func validate() throws(RedisError) {
        if let age, age < .zero {
            throw RedisError(.invalidArgument, "The age of entries to keep must not be negative.")
        }
        if let maxLength, maxLength < 1 {
            throw RedisError(.invalidArgument, "The length to trim to must be at least 1.")
        }
        if let abandonedAfter, abandonedAfter <= .zero {
            throw RedisError(.invalidArgument, "The time after which a group counts as abandoned must be positive.")
        }
        if positions.contains(where: \.isEmpty) { throw RedisError(.invalidArgument, "A position needs a name.") }
    }

    func call(on stream: StreamKey) -> ScriptCall {
        func milliseconds(_ duration: Duration?) -> FieldValue { duration.map { .integer($0.wholeMilliseconds) } ?? "" }
        return ScriptCall(
            .trim,
            keys: [stream] + positions.map { SavedPosition.key($0, of: stream) },
            arguments: [milliseconds(age), maxLength.map { .integer($0) } ?? "", milliseconds(abandonedAfter)]
        )
    }
}

extension RedisCommandExecutor {
    /// Removes the entries of a stream that every group has read and acknowledged.
    ///
    /// ```swift
    /// let report = try await redis.trim("orders", .acknowledgedByAllGroups, keeping: .seconds(3600))
    /// ```
    ///
    /// It is one atomic step: the server delivers no message between the check and the trim. A group that is created
    /// later does not get the entries that were removed before, even if it starts at the beginning of the stream:
    /// create groups before you add their first entries, or keep entries for a time. Trimming does not wait for readers
    /// without a group (``StreamConsumer``), except for those whose ``GroupTrim/positions`` you name.
    ///
    /// ``StreamTrimmer`` repeats this at intervals. The library sends a script: the user needs the rights to `EVAL` and
    /// `EVALSHA`, to `XTRIM`, `XINFO`, `XPENDING`, `XLEN`, `XRANGE` and `EXISTS`, for an age to `TIME`, and for
    /// positions to `HGET`.
    ///
    /// - Parameters:
    ///   - stream: The stream; it is no error if it does not exist.
    ///   - goal: How far to trim.
    ///   - age: How long to keep entries in any case; `nil` for the age of `goal`.
    /// - Throws: ``RedisError``. It is safe to trim again after an error.
    ///
    /// Source: [XTRIM](https://redis.io/docs/latest/commands/xtrim/).
    @discardableResult
    public func trim(
        _ stream: StreamKey,
        _ goal: GroupTrim = .acknowledgedByAllGroups,
        keeping age: Duration? = nil
    ) async throws(RedisError) -> TrimReport {
        var goal = goal
        if let age { goal.age = age }
        try goal.validate()
        try RedisError.check("stream", isName: stream.rawValue, command: XTRIM.name)
        let reply = try await run(goal.call(on: stream))
        guard let report = TrimReport(reply) else {
            throw RedisError(.unexpectedReply, "The reply of the trim script has another shape.", command: XTRIM.name)
        }
        return report
    }
}
