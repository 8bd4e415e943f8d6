// Twin for the in-memory server: ScriptContext+Leases.swift.

// Finds which of the ids in ARGV, from the third on, are pending for the consumer. One XPENDING from the first id to
// the last finds nearly all of them; if its page is full, the script asks for each remaining id. It returns errors of
// the server unchanged.
private let findOwned = """
    local key, group, consumer = KEYS[1], ARGV[1], ARGV[2]
    local pending = redis.pcall('XPENDING', key, group, ARGV[3], ARGV[#ARGV], 2 * #ARGV, consumer)
    if pending.err then return pending end
    local isMine = {}
    for _, entry in ipairs(pending) do isMine[entry[1]] = true end
    local mine, others = {}, {}
    for i = 3, #ARGV do
        local id = ARGV[i]
        if isMine[id] or (#pending == 2 * #ARGV and redis.call('XPENDING', key, group, id, id, 1, consumer)[1]) then
            mine[#mine + 1] = id
        else
            others[#others + 1] = id
        end
    end

    """

extension Script {
    /// Renews the leases of messages that are pending for the consumer: the server resets their idle time, and does not
    /// change their delivery counts. The ids are in ascending order.
    ///
    /// A plain `XCLAIM` would also claim messages that another consumer has claimed meanwhile.
    ///
    /// Returns the ids that are not pending for the consumer; the ids whose entries have been deleted; and, for each of
    /// the first 100 ids that are not pending for the consumer, the name of the owner or an empty string.
    package static let renew = Script(
        "renew",
        findOwned + """
            local isThere, deleted = {}, {}
            -- As many at a time as fit on the stack.
            for first = 1, #mine, 1000 do
                local claim = {'XCLAIM', key, group, consumer, 0}
                for i = first, math.min(first + 999, #mine) do claim[#claim + 1] = mine[i] end
                claim[#claim + 1] = 'JUSTID'
                local claimed = redis.pcall(unpack(claim))
                if claimed.err then return claimed end
                for _, id in ipairs(claimed) do isThere[id] = true end
            end
            for _, id in ipairs(mine) do
                if not isThere[id] then deleted[#deleted + 1] = id end
            end
            local owners = {}
            for i = 1, math.min(100, #others) do
                local owned = redis.call('XPENDING', key, group, others[i], others[i], 1)[1]
                owners[i] = owned and owned[2] or ''
            end
            return {others, deleted, owners}
            """
    )

    /// Acknowledges messages that are pending for the consumer. The ids are in ascending order. Returns how many it
    /// acknowledged.
    package static let acknowledge = Script(
        "acknowledge",
        findOwned + """
            if #mine == 0 then return 0 end
            return redis.pcall('XACK', key, group, unpack(mine))
            """
    )

    /// Requeues messages that are pending for the consumer: they stay pending for it, with a new idle time and a new
    /// delivery count.
    ///
    /// The arguments after the consumer are, for each message, its id, the idle time in milliseconds, and the count.
    /// Returns the ids that are not pending for the consumer.
    package static let requeue = Script(
        "requeue",
        """
        local key, group, consumer = KEYS[1], ARGV[1], ARGV[2]
        local others = {}
        for i = 3, #ARGV, 3 do
            local id = ARGV[i]
            local pending = redis.pcall('XPENDING', key, group, id, id, 1, consumer)
            if pending.err then return pending end
            if pending[1] then
                redis.call('XCLAIM', key, group, consumer, 0, id, 'IDLE', ARGV[i + 1], 'RETRYCOUNT', ARGV[i + 2], 'JUSTID')
            else
                others[#others + 1] = id
            end
        end
        return others
        """
    )

    /// Reclaims messages that are pending for the consumer, so that it can handle them: the server resets their idle
    /// time and returns their entries.
    ///
    /// Arguments after the consumer: a mode, and ids in ascending order. The delivery count modulo 1000 says how often
    /// a message was delivered without an outcome; see `DeliveryCount`. The mode determines which messages the script
    /// reclaims, and whether it counts the delivery:
    /// - `uncrashed`: reclaims and counts those without such a delivery, and does not change the others.
    /// - `together` and `alone`: reclaims all, and counts them as quarantined messages.
    /// - `counted`: reclaims all, and counts those whose delivery is not counted yet.
    ///
    /// Returns the entries of the reclaimed messages; and for each message that is pending for the consumer its id, its
    /// delivery count, and 1 if it was reclaimed, 0 if it was not, -1 if it was reclaimed and its entry has been
    /// deleted.
    package static let reclaim = Script(
        "reclaim",
        """
        local key, group, consumer, mode = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
        local entries, states = {}, {}
        for i = 4, #ARGV do
            local id = ARGV[i]
            local pending = redis.pcall('XPENDING', key, group, id, id, 1, consumer)
            if pending.err then return pending end
            if pending[1] then
                local count, state = pending[1][4], 0
                -- Beyond this, numbers are not exact here.
                if count > 9007199254740000 then count = 9007199254740000 end
                if mode ~= 'uncrashed' or count % 1000 == 0 then
                    if mode ~= 'counted' or count % 1000 == 0 then
                        if mode == 'alone' and count % 1000 == 1 then count = count + 1 end
                        count = count + 1
                    end
                    local number = string.format('%.0f', count)
                    local entry = redis.call('XCLAIM', key, group, consumer, 0, id, 'RETRYCOUNT', number)[1]
                    state = entry and 1 or -1
                    if entry then entries[#entries + 1] = entry end
                end
                for _, value in ipairs({id, count, state}) do states[#states + 1] = value end
            end
        end
        return {entries, states}
        """
    )
}
