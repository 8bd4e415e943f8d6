// Twin for the in-memory server: ScriptContext+Names.swift.

// The scripts that remove consumers from a group. `XGROUP DELCONSUMER` alone would also drop their pending messages,
// and no other consumer would ever handle those. So each of these scripts checks the pending list in the same step.
extension Script {
    /// Transfers the pending messages of a consumer that ends to another name, and removes the consumer if none is
    /// left.
    ///
    /// The messages keep their idle times and delivery counts. If no other consumer was active recently, the script
    /// also resets the idle time of the other name. Without that, the group would look abandoned since the time at
    /// which its remaining consumers were last active.
    ///
    /// Arguments after the consumer: the other name; the idle time in milliseconds up to which a consumer counts as
    /// recently active; and the id to begin at, or an empty string to transfer nothing. Returns 1 if the script removed
    /// the consumer, and 0 otherwise; the last id of a full page, after which the caller has to continue, or an empty
    /// string; and the ids of pending entries that have been deleted.
    package static let deregister = Script(
        "deregister",
        namedValues + """
            local key, group, consumer, other, start = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[5]
            local deleted = {}
            local function transfer(entry)
                local claimed = redis.pcall('XCLAIM', key, group, other, 0, entry[1], 'IDLE', entry[3], 'JUSTID')
                if claimed.err then return claimed end
                if not claimed[1] then deleted[#deleted + 1] = entry[1] end
            end
            if start ~= '' then
                local pending = redis.pcall('XPENDING', key, group, start, '+', 500, consumer)
                if pending.err then return pending end
                for _, entry in ipairs(pending) do
                    local failure = transfer(entry)
                    if failure then return failure end
                end
                if #pending == 500 then return {0, pending[500][1], deleted} end
            end
            local left = redis.pcall('XPENDING', key, group, '-', '+', 1, consumer)
            if left.err then return left end
            if left[1] then return {0, '', deleted} end
            local consumers = redis.pcall('XINFO', 'CONSUMERS', key, group)
            if consumers.err then return consumers end
            local isSeen = false
            for _, reply in ipairs(consumers) do
                local info = named(reply)
                if info.name ~= consumer and info.idle <= tonumber(ARGV[4]) then
                    isSeen = true
                    break
                end
            end
            if not isSeen then
                local first = redis.call('XPENDING', key, group, '-', '+', 1, other)[1]
                if first then
                    local failure = transfer(first)
                    if failure then return failure end
                else
                    redis.pcall('XGROUP', 'DELCONSUMER', key, group, other)
                    local made = redis.pcall('XGROUP', 'CREATECONSUMER', key, group, other)
                    -- Without the right to that, the name of the consumer itself is the evidence.
                    if type(made) == 'table' then return {0, '', deleted} end
                end
            end
            local removed = redis.pcall('XGROUP', 'DELCONSUMER', key, group, consumer)
            if type(removed) == 'table' then return removed end
            return {1, '', deleted}
            """
    )

    /// Removes consumers that have no pending messages, 1000 at most.
    ///
    /// If the caller has no consumer in the group, the consumer that was active last stays: its idle time shows since
    /// when the group has had no active consumer.
    ///
    /// Arguments after the group: the caller's own name, which stays, or an empty string; the minimum idle time of a
    /// consumer in milliseconds; the prefix that its name must have, or an empty string; a name that need not be idle,
    /// or an empty string; and, to remove only these, names. Returns the names that the script removed, and how many
    /// consumers have been idle for less than the minimum time.
    package static let removeNames = Script(
        "removeNames",
        namedValues + """
            local key, group, own, idle, prefix = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
            -- This tells of a missing group alike on all servers.
            local pending = redis.pcall('XPENDING', key, group, '-', '+', 1)
            if pending.err then return pending end
            local consumers = redis.pcall('XINFO', 'CONSUMERS', key, group)
            if consumers.err then return consumers end
            local isMeant = {}
            for i = 6, #ARGV do isMeant[ARGV[i]] = true end
            local last, isAlone, living = nil, true, 0
            for i, reply in ipairs(consumers) do
                local info = named(reply)
                consumers[i] = info
                if info.name == own then isAlone = false end
                if info.idle < idle then living = living + 1 end
                if not last or info.idle < last.idle then last = info end
            end
            local removed = {}
            for _, info in ipairs(consumers) do
                local name = info.name
                if #removed < 1000 and info.pending == 0 and (info.idle >= idle or name == ARGV[5]) and name ~= own
                    and string.sub(name, 1, #prefix) == prefix and (#ARGV < 6 or isMeant[name])
                    and not (isAlone and info == last)
                then
                    local count = redis.pcall('XGROUP', 'DELCONSUMER', key, group, name)
                    if type(count) == 'table' then return count end
                    removed[#removed + 1] = name
                end
            end
            return {removed, living}
            """
    )
}
