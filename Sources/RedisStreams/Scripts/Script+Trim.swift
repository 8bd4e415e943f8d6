// Twin for the in-memory server: ScriptContext+Trim.swift.

extension Script {
    /// Trims a stream up to the first entry that a group still needs. Since this is one step, the server can neither
    /// create a group nor deliver a message between the check and the trim.
    ///
    /// Keys: the stream, and the saved positions of readers. Arguments: for how many milliseconds entries are kept in
    /// any case, or an empty string; the length above which the script removes even needed entries, or an empty string;
    /// and after how many milliseconds without activity a group counts as abandoned, or an empty string.
    ///
    /// Returns how many entries it removed that no group needed, and how many because of the length; the length; the
    /// first id; and for each group its name, the lowest id that it needs, its number of pending messages, its lag or
    /// -1, 1 if it counts as abandoned or 0, and 1 if it has lost an entry that it needed or 0.
    package static let trim = Script(
        "trim",
        namedValues + """
            local function padded(id)
                local ms, seq = string.match(id, '^(%d+)-(%d+)$')
                return string.rep('0', 20 - #ms) .. ms .. string.rep('0', 20 - #seq) .. seq
            end
            local function next(id)
                local ms, seq = string.match(id, '^(%d+)-(%d+)$')
                if seq == '18446744073709551615' then return id end
                -- Numbers of 64 bits are not exact here: the last digits are counted up as text.
                local digits, at = {string.byte(seq, 1, #seq)}, #seq
                while at > 0 and digits[at] == 57 do
                    digits[at] = 48
                    at = at - 1
                end
                if at == 0 then return ms .. '-1' .. string.char(unpack(digits)) end
                digits[at] = digits[at] + 1
                return ms .. '-' .. string.char(unpack(digits))
            end
            local key, needed, delivered, gaveUp = KEYS[1], nil, nil, false
            local found = redis.pcall('XINFO', 'GROUPS', key)
            if found.err then
                if redis.call('EXISTS', key) == 0 then return {0, 0, 0, '0-0', {}} end
                return found
            end
            local groups = {}
            for _, reply in ipairs(found) do
                local group = named(reply)
                local last = group['last-delivered-id']
                local lowest = next(last)
                -- The summary of the pending list would count the messages of every consumer.
                local pending = redis.pcall('XPENDING', key, group.name, '-', '+', 1)
                if pending.err then return pending end
                if pending[1] then lowest = pending[1][1] end
                local idle = nil
                if ARGV[3] ~= '' then
                    for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', key, group.name)) do
                        local time = named(consumer).idle
                        if not idle or time < idle then idle = time end
                    end
                end
                local isAbandoned = idle ~= nil and idle > tonumber(ARGV[3])
                if isAbandoned then
                    gaveUp = true
                else
                    if not needed or padded(lowest) < padded(needed) then needed = lowest end
                    if not delivered or padded(next(last)) < padded(delivered) then delivered = next(last) end
                end
                groups[#groups + 1] = {group.name, lowest, group.pending, group.lag or -1, isAbandoned and 1 or 0, 0}
            end
            for i = 2, #KEYS do
                local id = redis.pcall('HGET', KEYS[i], 'id')
                if type(id) == 'table' then return id end
                -- A reader that has kept no position yet may need everything.
                local lowest = id and next(id) or '0-0'
                if not needed or padded(lowest) < padded(needed) then needed = lowest end
                if not delivered or padded(lowest) < padded(delivered) then delivered = lowest end
            end

            local removed, forced = 0, 0
            if needed then
                if ARGV[1] ~= '' then
                    local time = redis.call('TIME')
                    local kept = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1])
                    if kept < 0 then kept = 0 end
                    kept = string.format('%.0f-0', kept)
                    if padded(kept) < padded(needed) then needed = kept end
                    if padded(kept) < padded(delivered) then delivered = kept end
                end
                removed = redis.pcall('XTRIM', key, 'MINID', '=', needed)
                if type(removed) == 'table' then return removed end
                -- What is behind the first pending entry, and has been acknowledged by all, only some servers can take.
                -- Exactly, since approximately it takes nothing on some of them. Up to where all groups have read, since
                -- behind that there is nothing to be found, and looking for it takes its time.
                if not gaveUp and padded(needed) < padded(delivered) then
                    local more = redis.pcall('XTRIM', key, 'MINID', '=', delivered, 'ACKED')
                    if type(more) == 'number' then removed = removed + more end
                end
            end
            if ARGV[2] ~= '' and redis.call('XLEN', key) > tonumber(ARGV[2]) then
                for _, group in ipairs(groups) do
                    local entry = redis.call('XRANGE', key, group[2], '+', 'COUNT', 1)[1]
                    group[7] = entry and entry[1]
                end
                forced = redis.pcall('XTRIM', key, 'MAXLEN', '~', ARGV[2])
                if type(forced) == 'table' then return forced end
            end
            local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
            first = first and first[1] or '0-0'
            for _, group in ipairs(groups) do
                if forced > 0 and group[7] and padded(group[7]) < padded(first) then group[6] = 1 end
                group[7] = nil
            end
            return {removed, forced, redis.call('XLEN', key), first, groups}
            """
    )
}
