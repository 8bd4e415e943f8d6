extension Script {
    /// Keeps a reader's position, unless a newer one is kept, or it was moved by somebody else since.
    ///
    /// The only key is that of the position. Arguments: the id, the epoch in which the reader is, and `move` if the
    /// position is to be set in any case, which begins a new epoch. Returns the epoch that holds from now on, which is
    /// above the reader's if another has moved the position.
    package static let savePosition = Script(
        "savePosition",
        """
        -- Ids have numbers of 64 bits, which are not exact here: they are compared as text.
        local function isAbove(a, b)
            local ams, aseq = string.match(a, '^(%d+)-(%d+)$')
            local bms, bseq = string.match(b, '^(%d+)-(%d+)$')
            if not ams or not bms then return true end
            if #ams ~= #bms then return #ams > #bms end
            if ams ~= bms then return ams > bms end
            if #aseq ~= #bseq then return #aseq > #bseq end
            return aseq > bseq
        end
        local saved = redis.pcall('HMGET', KEYS[1], 'id', 'epoch')
        if saved.err then return saved end
        local id, epoch, mine = saved[1], tonumber(saved[2] or '0') or 0, tonumber(ARGV[2])
        if id and epoch > mine then return epoch end
        if ARGV[3] == 'move' then
            mine = mine + 1
        elseif id and epoch == mine and not isAbove(ARGV[1], id) then
            return epoch
        end
        local kept = redis.pcall('HSET', KEYS[1], 'id', ARGV[1], 'epoch', string.format('%.0f', mine))
        if type(kept) == 'table' and kept.err then return kept end
        return mine
        """
    )
}
