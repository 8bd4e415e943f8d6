extension Script {
    /// Adds entries to other streams and acknowledges the message that they come of, all or nothing, if it is pending for
    /// the consumer.
    ///
    /// Keys after the stream: those of the streams to add to. Arguments after the consumer: the id of the message, and
    /// for each entry the number of its stream among the keys, the length to trim to or nothing, how many strings its
    /// fields are, and those. Returns the ids of the new entries; nothing if the message is not pending for the consumer,
    /// such as when this was done before and the reply was lost.
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

    /// Where dead letters came from, without what is in them: a page behind an id.
    ///
    /// Key: the stream of dead letters. Arguments: the id, the most entries, and the names of the fields that tell of stream,
    /// group and id. Returns for each entry its id and those three, or its id alone if one of them is missing.
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

    /// Puts a dead letter back, and takes it out of its stream: as a message of the group that is pending again, if the
    /// entry it came of is still there, so that other groups do not see it twice; else as a new entry.
    ///
    /// Keys: the stream of dead letters, and the stream that the message was of. Arguments: the id of the dead letter, the
    /// group, the id of the message, and the names of a dead letter's own fields. Returns the id of the message; nothing if
    /// the dead letter is not there; 0 if it has to stay, since there are no fields for a new entry, or too many.
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
