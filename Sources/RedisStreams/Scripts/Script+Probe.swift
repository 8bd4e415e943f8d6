extension Script {
    /// Looks at a stream without the bodies of its entries.
    ///
    /// The only key is the stream, the arguments are ids. `XINFO STREAM` by itself brings the first and the last entry with
    /// all that is in them. Returns nothing if there is no such key; else the length, the last id that the stream has given
    /// out, the ids of its first and of its last entry or nothing, how many entries were ever added, or -1 from a server that
    /// does not count, the highest id that was deleted or nothing, how many groups it has, and those of the ids that have
    /// no entry.
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

    /// Finds the first entry behind an id without its body.
    ///
    /// The only key is the stream, the only argument the id. Returns nothing if there is no entry; else its id, how many
    /// fields and values it has, and how many bytes they have.
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
