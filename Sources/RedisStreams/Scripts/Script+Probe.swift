// Twin for the in-memory server: ScriptContext+Probe.swift.

extension Script {
    /// Returns information about a stream without the fields of its entries, which a plain `XINFO STREAM` includes.
    ///
    /// The only key is the stream, the arguments are ids. Returns null if there is no such key; otherwise the length,
    /// the last generated id, the ids of the first and the last entry or empty strings, how many entries were ever
    /// added or -1 if the server does not count them, the highest deleted id or an empty string, the number of groups,
    /// and those of the ids that have no entry.
    package static let probe = Script(
        "probe",
        namedValues + """
            local key = KEYS[1]
            local info = redis.pcall('XINFO', 'STREAM', key)
            if info.err then
                if string.find(info.err, 'no such key', 1, true) then return false end
                return info
            end
            local stream = named(info)
            local first, last = stream['first-entry'], stream['last-entry']
            local result = {
                stream.length, stream['last-generated-id'], first and first[1] or '', last and last[1] or '',
                stream['entries-added'] or -1, stream['max-deleted-entry-id'] or '', stream.groups,
            }
            for _, id in ipairs(ARGV) do
                if #redis.call('XRANGE', key, id, id) == 0 then result[#result + 1] = id end
            end
            return result
            """
    )

    /// Finds the first entry after an id, without returning its fields.
    ///
    /// The only key is the stream, the only argument the id. Returns null if there is no entry; otherwise its id, the
    /// number of its names and values, and the number of bytes in them.
    package static let nextEntry = Script(
        "nextEntry",
        """
        local found = redis.pcall('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', '1')
        if found.err then return found end
        if #found == 0 then return false end
        local bytes = 0
        for _, element in ipairs(found[1][2]) do bytes = bytes + #element end
        return {found[1][1], #found[1][2], bytes}
        """
    )
}
