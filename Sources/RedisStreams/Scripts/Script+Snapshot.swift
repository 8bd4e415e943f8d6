extension Script {
    /// Looks at the group, its pending list and its stream, as they are at one time.
    ///
    /// The commands that it is made of would tell of all groups, and bring the first and the last entry with all that is
    /// in them. Returns nothing if the group is not there; else its last delivered id, its lowest pending
    /// one or nothing, how many entries it has read and how many were ever added, or -1 from a server that does not
    /// count, the length of the stream, its first id or nothing, and the last one that it has given out.
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
