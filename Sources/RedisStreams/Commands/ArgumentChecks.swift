/// Checks that several commands need before they are sent.
extension RedisCommand {
    func check(ids: [StreamID]) throws(RedisError) {
        guard !ids.isEmpty else {
            throw invalid("\(name) needs at least one entry id; send nothing when there is none.")
        }
    }

    func check(keys: [StreamKey]) throws(RedisError) {
        guard !keys.isEmpty else { throw invalid("\(name) needs at least one key.") }
    }

    func check(count: Int?) throws(RedisError) {
        guard let count else { return }
        guard count > 0 else { throw invalid("The count must be at least 1; leave it out for no limit.") }
    }

    func check(_ what: String, isPositive value: Int?) throws(RedisError) {
        if let value, value <= 0 { throw invalid("\(what) must be at least 1.") }
    }

    func check(_ what: String, isNotNegative duration: Duration?) throws(RedisError) {
        if let duration, duration < .zero { throw invalid("\(what) must not be negative.") }
    }

    /// Redis takes 0 for "wait for ever", which would outlive a connection that has died without a word.
    func check(block: Duration?) throws(RedisError) {
        guard let block, block < .milliseconds(1) || block > .longestBlock else { return }
        throw invalid(
            "A blocking time must be from 1 ms to a day: 0 would wait for ever, also on a dead connection. "
                + "Read again after each timeout instead."
        )
    }
}

extension Duration {
    /// How long a command may block.
    static let longestBlock = Duration.seconds(86_400)
}

extension CommandEncoder {
    mutating func append(_ ids: [StreamID]) {
        for id in ids { append(id) }
    }

    mutating func append(_ keys: [StreamKey]) {
        for key in keys { append(key) }
    }

    /// Appends `COUNT` with the number, where there is one.
    mutating func append(count: Int?) {
        guard let count else { return }
        append("COUNT")
        append(count)
    }
}
