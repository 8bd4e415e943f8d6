/// All commands of ``RedisModel``.
enum CommandTable {
    /// The commands by their names in upper case.
    static let specs: [Bytes: CommandSpec] = {
        let all = streams + groups + keys + strings + connections + server + transactions + scripts + cluster
        return Dictionary(uniqueKeysWithValues: all.map { (Bytes($0.name.uppercased()), $0) })
    }()

    /// The names of the commands that a replica refuses.
    static let writes: Set<String> = [
        "xadd", "xtrim", "xdel", "xdelex", "xsetid", "xreadgroup", "xgroup", "xack", "xackdel", "xclaim", "xautoclaim",
        "del",
        "unlink", "rename", "expire", "pexpire", "persist", "flushall", "flushdb", "swapdb", "set", "incr", "hset",
        "hdel",
        "eval", "evalsha",
    ]

    private static let streams = [
        CommandSpec("xadd", -5) { model, call throws(ReplyError) in try model.xadd(call) },
        CommandSpec("xtrim", -4) { model, call throws(ReplyError) in try model.xtrim(call) },
        CommandSpec("xlen", 2) { model, call throws(ReplyError) in try model.xlen(call) },
        CommandSpec("xrange", -4) { model, call throws(ReplyError) in try model.xrange(call) },
        CommandSpec("xrevrange", -4) { model, call throws(ReplyError) in try model.xrevrange(call) },
        CommandSpec("xdel", -3) { model, call throws(ReplyError) in try model.xdel(call) },
        CommandSpec("xdelex", -5, .onlyRedis8_2) { model, call throws(ReplyError) in try model.xdelex(call) },
        CommandSpec("xsetid", -3, .optionsSince7_0) { model, call throws(ReplyError) in try model.xsetid(call) },
        CommandSpec("xread", -4) { model, call throws(ReplyError) in try model.xread(call) },
        CommandSpec("xinfo", -2, subcommands: ["STREAM": -3, "GROUPS": 3, "CONSUMERS": 4, "HELP": 2]) {
            model,
            call throws(ReplyError) in try model.xinfo(call)
        },
    ]

    private static let groups = [
        CommandSpec("xreadgroup", -7) { model, call throws(ReplyError) in try model.xread(call) },
        CommandSpec(
            "xgroup",
            -2,
            subcommands: [
                "CREATE": -5, "SETID": -5, "DESTROY": 4, "CREATECONSUMER": 5, "DELCONSUMER": 5, "HELP": 2,
            ]
        ) { model, call throws(ReplyError) in try model.xgroup(call) },
        CommandSpec("xack", -4) { model, call throws(ReplyError) in try model.xack(call) },
        CommandSpec("xackdel", -6, .onlyRedis8_2) { model, call throws(ReplyError) in try model.xackdel(call) },
        CommandSpec("xpending", -3) { model, call throws(ReplyError) in try model.xpending(call) },
        CommandSpec("xclaim", -6) { model, call throws(ReplyError) in try model.xclaim(call) },
        CommandSpec("xautoclaim", -6) { model, call throws(ReplyError) in try model.xautoclaim(call) },
    ]

    private static let keys = [
        CommandSpec("del", -2) { model, call in model.del(call) },
        CommandSpec("unlink", -2) { model, call in model.del(call) },
        CommandSpec("exists", -2) { model, call in model.exists(call) },
        CommandSpec("type", 2) { model, call in model.type(call) },
        CommandSpec("rename", 3) { model, call throws(ReplyError) in try model.rename(call) },
        CommandSpec("expire", -3, .optionsSince7_0) { model, call throws(ReplyError) in
            try model.expire(call, unit: 1000)
        },
        CommandSpec("pexpire", -3, .optionsSince7_0) { model, call throws(ReplyError) in try model.expire(call, unit: 1)
        },
        CommandSpec("persist", 2) { model, call in model.persist(call) },
        CommandSpec("ttl", 2) { model, call in model.ttl(call, unit: 1000) },
        CommandSpec("pttl", 2) { model, call in model.ttl(call, unit: 1) },
        CommandSpec("keys", 2) { model, call in model.keys(call) },
        CommandSpec("dbsize", 1) { model, call in model.dbsize(call) },
        CommandSpec("flushall", -1) { model, call throws(ReplyError) in try model.flushall(call) },
        CommandSpec("flushdb", -1) { model, call throws(ReplyError) in try model.flushdb(call) },
        CommandSpec("swapdb", 3) { model, call throws(ReplyError) in try model.swapdb(call) },
    ]

    private static let strings = [
        CommandSpec("get", 2) { model, call throws(ReplyError) in try model.get(call) },
        CommandSpec("set", -3) { model, call throws(ReplyError) in try model.set(call) },
        CommandSpec("incr", 2) { model, call throws(ReplyError) in try model.increment(call, by: 1) },
        CommandSpec("decr", 2) { model, call throws(ReplyError) in try model.increment(call, by: -1) },
        CommandSpec("incrby", 3) { model, call throws(ReplyError) in
            try model.increment(call, by: try call.integer(2))
        },
        CommandSpec("hset", -4) { model, call throws(ReplyError) in try model.hset(call) },
        CommandSpec("hget", 3) { model, call throws(ReplyError) in try model.hget(call) },
        CommandSpec("hmget", -3) { model, call throws(ReplyError) in try model.hmget(call) },
        CommandSpec("hdel", -3) { model, call throws(ReplyError) in try model.hdel(call) },
        CommandSpec("hgetall", 2) { model, call throws(ReplyError) in try model.hgetall(call) },
    ]

    private static let connections = [
        CommandSpec("ping", -1) { model, call throws(ReplyError) in try model.ping(call) },
        CommandSpec("echo", 2) { model, call in model.reply.bulk(call[1]) },
        CommandSpec("auth", -2, .beforeLogin) { model, call throws(ReplyError) in try model.auth(call) },
        CommandSpec("hello", -1, .beforeLogin) { model, call throws(ReplyError) in try model.hello(call) },
        CommandSpec("quit", -1, [.beforeLogin, .notQueued]) { model, call in model.quit(call) },
        CommandSpec("reset", 1, [.beforeLogin, .notQueued]) { model, call in model.reset(call) },
        CommandSpec("select", 2) { model, call throws(ReplyError) in try model.select(call) },
        CommandSpec("client", -2) { model, call throws(ReplyError) in try model.client(call) },
    ]

    private static let server = [
        CommandSpec("info", -1) { model, call in model.info(call) },
        CommandSpec("time", 1) { model, call in model.time(call) },
        CommandSpec("role", 1) { model, call in model.role(call) },
        CommandSpec("wait", 3) { model, call throws(ReplyError) in try model.wait(call) },
        CommandSpec("waitaof", 4, .since7_2) { model, call throws(ReplyError) in try model.waitaof(call) },
        CommandSpec("command", -1) { model, call in model.command(call) },
        CommandSpec(
            "config",
            -2,
            subcommands: ["GET": -3, "SET": -4, "RESETSTAT": 2, "REWRITE": 2, "HELP": 2]
        ) { model, call throws(ReplyError) in try model.config(call) },
    ]

    private static let transactions = [
        CommandSpec("multi", 1, .notQueued) { model, call throws(ReplyError) in try model.multi(call) },
        CommandSpec("exec", 1, .notQueued) { model, call throws(ReplyError) in try model.exec(call) },
        CommandSpec("discard", 1, .notQueued) { model, call throws(ReplyError) in try model.discard(call) },
        CommandSpec("watch", -2, .notQueued) { model, call throws(ReplyError) in try model.watch(call) },
        CommandSpec("unwatch", 1) { model, call in model.unwatch(call) },
    ]

    private static let scripts = [
        CommandSpec("eval", -3) { model, call throws(ReplyError) in try model.eval(call) },
        CommandSpec("evalsha", -3) { model, call throws(ReplyError) in try model.evalsha(call) },
        CommandSpec("script", -2) { model, call throws(ReplyError) in try model.script(call) },
    ]

    private static let cluster = [
        CommandSpec("cluster", -2) { model, call throws(ReplyError) in try model.cluster(call) },
        CommandSpec("asking", 1) { model, call throws(ReplyError) in try model.asking(call) },
        CommandSpec("readonly", 1) { model, call throws(ReplyError) in try model.readOnly(call) },
        CommandSpec("readwrite", 1) { model, call throws(ReplyError) in try model.readOnly(call) },
    ]
}
