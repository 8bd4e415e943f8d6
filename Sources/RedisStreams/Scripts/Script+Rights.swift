// The twin for the in-memory server is in NativeScript.swift: there, every user has all rights.

extension Script {
    /// Tests whether the user has the rights to the commands of a consumer's scripts. It calls them for a group that
    /// does not exist, so that they change nothing.
    ///
    /// `ACL DRYRUN` needs a right itself, and older servers do not have it. Keys after the stream: the dead letter
    /// stream, if there is one. Returns the commands that the user has no right to.
    package static let rights = Script(
        "rights",
        """
        local key, group, consumer = KEYS[1], ARGV[1] .. ':probe', ARGV[2]
        local refused = {}
        local function try(name, ...)
            local reply = redis.pcall(...)
            local text = type(reply) == 'table' and reply.err or ''
            -- What servers say of a user in a script: 6.2, 7.0 and later.
            if string.find(text, 'NOPERM') or string.find(text, 'user executing the script') or
                string.find(text, 'ACL failure') then refused[#refused + 1] = name end
        end
        try('XACK', 'XACK', key, group, '0-1')
        try('XPENDING', 'XPENDING', key, group, '-', '+', 1)
        try('XCLAIM', 'XCLAIM', key, group, consumer, 0, '0-1', 'JUSTID')
        try('XINFO GROUPS', 'XINFO', 'GROUPS', key)
        try('XINFO STREAM', 'XINFO', 'STREAM', key)
        try('XINFO CONSUMERS', 'XINFO', 'CONSUMERS', key, group)
        try('XGROUP DELCONSUMER', 'XGROUP', 'DELCONSUMER', key, group, consumer)
        try('XGROUP CREATECONSUMER', 'XGROUP', 'CREATECONSUMER', key, group, consumer)
        if KEYS[2] then
            try('TYPE', 'TYPE', KEYS[2])
            -- No stream takes this id.
            try('XADD', 'XADD', KEYS[2], '0-0', 'f', 'v')
        end
        return refused
        """
    )
}
