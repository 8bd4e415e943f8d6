// Twin for the in-memory server: ScriptContext+Outputs.swift.

extension Script {
    /// Adds entries to other streams and acknowledges the message that they result from, all or nothing, if the message
    /// is pending for the consumer.
    ///
    /// Keys after the stream: the streams to add to. Arguments after the consumer: the id of the message, and for each
    /// entry the number of its stream among the keys, the length to trim to or an empty string, the number of strings
    /// in its fields, and these strings. Returns the ids of the new entries; null if the message is not pending for the
    /// consumer, such as after a run of this script whose reply was lost.
    package static let publish = Script(
        "publish",
        """
        local key, group, consumer, id = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
        local pending = redis.pcall('XPENDING', key, group, id, id, 1, consumer)
        if pending.err then return pending end
        if not pending[1] then return false end
        for i = 2, #KEYS do
            local kind = redis.call('TYPE', KEYS[i]).ok
            if kind ~= 'stream' and kind ~= 'none' then
                return redis.error_reply('WRONGTYPE The output goes to a key that holds no stream')
            end
        end
        local ids, at = {}, 4
        while at <= #ARGV do
            local add = {'XADD', KEYS[tonumber(ARGV[at])]}
            if ARGV[at + 1] ~= '' then
                add[3], add[4], add[5] = 'MAXLEN', '~', ARGV[at + 1]
            end
            add[#add + 1] = '*'
            local last = at + 2 + tonumber(ARGV[at + 2])
            for i = at + 3, last do add[#add + 1] = ARGV[i] end
            local added = redis.pcall(unpack(add))
            if type(added) == 'table' and added.err then return added end
            ids[#ids + 1] = added
            at = last + 1
        end
        redis.call('XACK', key, group, id)
        return ids
        """
    )

    /// Reads a page of dead letter entries after an id: where they came from, without their payload.
    ///
    /// Key: the dead letter stream. Arguments: the id, the maximum number of entries, and the names of the fields that
    /// hold the stream, the group and the id of the message. Returns for each entry its id and those three values, or
    /// only its id if one of them is missing.
    package static let deadLetters = Script(
        "deadLetters",
        """
        local result, last = {}, ARGV[1]
        for _ = 1, tonumber(ARGV[2]) do
            local found = redis.pcall('XRANGE', KEYS[1], '(' .. last, '+', 'COUNT', 1)
            if found.err then return found end
            if not found[1] then break end
            last = found[1][1]
            local fields, values = found[1][2], {last}
            for name = 3, 5 do
                for i = 1, #fields, 2 do
                    if fields[i] == ARGV[name] then
                        values[#values + 1] = fields[i + 1]
                        break
                    end
                end
            end
            if #values < 4 then values = {last} end
            result[#result + 1] = values
            if last == '18446744073709551615-18446744073709551615' then break end
        end
        return result
        """
    )

    /// Redrives a dead letter entry, and deletes it from its stream. If the entry of the message still exists, the
    /// message becomes pending in its group again, so that other groups do not see it twice. Otherwise the script adds
    /// a new entry.
    ///
    /// Keys: the dead letter stream, and the stream of the message. Arguments: the id of the dead letter entry, the
    /// group, the id of the message, and the names of the fields that the library adds. Returns the id of the message;
    /// null if there is no such dead letter entry; 0 if the entry has to stay, because it has no fields for a new
    /// entry, or too many.
    package static let redrive = Script(
        "redrive",
        """
        local deadLetterEntries, key, deadLetterEntry, group, id = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
        local found = redis.pcall('XRANGE', deadLetterEntries, deadLetterEntry, deadLetterEntry)
        if found.err then return found end
        if not found[1] then return false end
        local entry = redis.pcall('XRANGE', key, id, id)
        if entry.err then return entry end
        local claimed = {}
        if entry[1] then
            -- Idle for so long that every consumer of the group may claim it now.
            claimed = redis.pcall('XCLAIM', key, group, 'generated:returned', 0, id, 'IDLE', 4000000000, 'RETRYCOUNT', 0, 'FORCE',
                'JUSTID')
            if claimed.err then
                if not string.find(claimed.err, 'NOGROUP', 1, true) then return claimed end
                claimed = {}
            end
        end
        if not claimed[1] then
            local isOwn, add, fields = {}, {'XADD', key, '*'}, found[1][2]
            for i = 4, #ARGV do isOwn[ARGV[i]] = true end
            for i = 1, #fields, 2 do
                -- Each once: the message may be a dead letter itself.
                if isOwn[fields[i]] then
                    isOwn[fields[i]] = nil
                else
                    add[#add + 1], add[#add + 2] = fields[i], fields[i + 1]
                end
            end
            -- As many as fit on the stack.
            if #add == 3 or #add > 7900 then return 0 end
            id = redis.pcall(unpack(add))
            if type(id) == 'table' then return id end
        end
        redis.call('XDEL', deadLetterEntries, deadLetterEntry)
        return id
        """
    )
}
