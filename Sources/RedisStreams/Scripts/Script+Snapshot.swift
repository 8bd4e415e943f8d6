// Twin for the in-memory server: ScriptContext+Snapshot.swift.

extension Script {
    /// Returns a consistent snapshot of the group, its pending list and its stream.
    ///
    /// The plain commands would return all groups, and the first and the last entry with their fields. Returns null if
    /// the group does not exist; otherwise its last delivered id, its lowest pending id or an empty string, how many
    /// entries it has read and how many were ever added, each -1 if the server does not count them, the length of the
    /// stream, its first id or an empty string, and its last generated id.
    package static let snapshot = Script(
        "snapshot",
        namedValues + """
            local key, name = KEYS[1], ARGV[1]
            local groups = redis.pcall('XINFO', 'GROUPS', key)
            if groups.err then return groups end
            for _, reply in ipairs(groups) do
                local group = named(reply)
                if group.name == name then
                    local stream = named(redis.call('XINFO', 'STREAM', key))
                    local first = stream['first-entry']
                    -- The summary of the pending list would count the messages of every consumer.
                    local pending = redis.pcall('XPENDING', key, name, '-', '+', 1)
                    if pending.err then return pending end
                    return {
                        group['last-delivered-id'], pending[1] and pending[1][1] or '',
                        group['entries-read'] or -1, stream['entries-added'] or -1,
                        stream.length, first and first[1] or '', stream['last-generated-id'],
                    }
                end
            end
            return false
            """
    )
}
