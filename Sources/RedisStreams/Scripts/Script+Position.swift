// Twin for the in-memory server: ScriptContext+Position.swift.

extension Script {
    /// Saves a reader's position, unless a higher position is saved, or another reader has moved it since.
    ///
    /// The only key is the position's. Arguments: the id, the reader's epoch, and `move` to save a lower position, too,
    /// and to begin a new epoch. Returns the epoch of the saved position. If another reader has moved the position, it
    /// is above the reader's epoch, and the script saves nothing.
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
