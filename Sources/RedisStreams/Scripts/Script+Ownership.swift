// Which of the ids in ARGV, from the third on, are pending for the consumer. One look at its pending list from the first id
// to the last finds nearly all; what that leaves open is asked one by one. Errors of the server are returned as they are.
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
    /// Renews the leases of messages, ids in ascending order, that are pending for the consumer: they count as delivered
    /// just now, and no more often than before.
    ///
    /// A plain `XCLAIM` would also take back what another consumer has claimed meanwhile.
    /// Returns the ids that are not pending for the consumer, those of entries that were deleted, and for the first 100 of
    /// those that are not pending for it, whose they are, or nothing.
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

    /// Acknowledges messages, ids in ascending order, that are pending for the consumer. Returns how many.
    package static let acknowledge = Script(
        "acknowledge",
        findOwned + """
            if #mine == 0 then return 0 end
            return redis.pcall('XACK', key, group, unpack(mine))
            """
    )

    /// Sets messages requeue that are pending for the consumer: they stay so, with a time for which they count as idle, and
    /// a count of deliveries.
    ///
    /// The arguments after the consumer are, for each message, its id, the time in milliseconds, and the count. Returns
    /// the ids that are not pending for the consumer.
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

    /// Takes messages that are pending for the consumer, to handle them: they count as delivered just now, and come with
    /// their entries.
    ///
    /// Arguments after the consumer: a mode, and ids in ascending order. The mode says what to do with the count of
    /// deliveries, whose remainder by 1000 says how often a message was delivered without an outcome; see `DeliveryCount`.
    /// `fair`: those that were not are taken and counted, the others are left alone. `company` and `exclusive`: all are
    /// taken and counted, as quarantined messages are. `known`: all are taken, and counted only if this delivery is not
    /// counted yet.
    /// Returns the entries that were taken; and for each message that is pending for the consumer its id, its count, and
    /// 1 if it was taken, 0 if it was left alone, -1 if it was taken and its entry is deleted.
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
                if mode ~= 'fair' or count % 1000 == 0 then
                    if mode ~= 'known' or count % 1000 == 0 then
                        if mode == 'exclusive' and count % 1000 == 1 then count = count + 1 end
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
