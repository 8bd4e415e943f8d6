/// How far a stream is trimmed with regard to those who read it.
///
/// An entry goes when every group of the stream has read it and has it pending no more. What is pending in one group stays,
/// and so does everything behind the lowest pending entry; only on Redis 8.2 and later, entries behind it that every group
/// has acknowledged go as well. A stream without groups is not trimmed.
public struct GroupTrim: Sendable, Hashable {
    /// How long entries are kept in any case, by their ids. For groups that are yet to be created, and for people.
    /// Default: `nil`, no longer than needed.
    public var age: Duration?

    /// The length above which the oldest entries go although a group needs them: about this many are kept, and up to a
    /// hundred more. Default: `nil`, never.
    public var maxLength: Int?

    /// A group none of whose consumers has given a sign of life for this long is not waited for any more. Default: `nil`,
    /// every group is waited for.
    ///
    /// A sign of life is a message that was read, claimed or renewed; with Redis 7.2 and later also an attempt. When the last
    /// consumer ends cleanly, a name stays in the group that shows since when it is left (`generated:returned`). A group
    /// that never had a consumer has given no sign, and is waited for.
    ///
    /// It costs the server time with the number of consumers, each time, while everybody waits.
    public var abandonedAfter: Duration?

    /// The names of positions (``StreamConsumer/Start/resume(_:else:)``) whose readers are waited for like groups. One that
    /// is not kept yet needs everything.
    public var positions: [String] = []

    /// Waits for every group, and keeps nothing else.
    public init() {}

    /// Waits for every group, and keeps nothing else.
    public static let acknowledgedByAllGroups = GroupTrim()

    func validate() throws(RedisError) {
        if let age, age < .zero {
            throw RedisError(.invalidArgument, "The age of entries to keep must not be negative.")
        }
        if let maxLength, maxLength < 1 {
            throw RedisError(.invalidArgument, "The length to trim to must be at least 1.")
        }
        if let abandonedAfter, abandonedAfter <= .zero {
            throw RedisError(.invalidArgument, "The time after which a group is not waited for must be positive.")
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
    /// Removes the entries of a stream that nobody needs any more: that every group has read, and acknowledged.
    ///
    /// ```swift
    /// let report = try await redis.trim("orders", .acknowledgedByAllGroups, keeping: .seconds(3600))
    /// ```
    ///
    /// One atomic step: nothing that a group is given meanwhile is missed. What is assumed: a group that is created later
    /// has no claim to what is gone by then, also if it begins at the beginning. Create groups before their first entries,
    /// or keep a time. Readers without a group (``StreamConsumer``) are not waited for, save those whose
    /// ``GroupTrim/positions`` are named.
    ///
    /// ``StreamTrimmer`` does this again and again. Sent as a script: a user needs the rights to `EVAL` and `EVALSHA`, to
    /// `XTRIM`, `XINFO`, `XPENDING`, `XLEN`, `XRANGE` and `EXISTS`, for an age to `TIME`, and where positions are
    /// named to `HGET`.
    ///
    /// - Parameters:
    ///   - stream: The stream; one that is not there is no error.
    ///   - goal: How far to trim.
    ///   - age: How long entries are kept in any case; `nil` for what `goal` says.
    /// - Throws: ``RedisError``. Trimming again does no harm.
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
            throw RedisError(.unexpectedReply, "The script for trimming returned something else.", command: XTRIM.name)
        }
        return report
    }
}
