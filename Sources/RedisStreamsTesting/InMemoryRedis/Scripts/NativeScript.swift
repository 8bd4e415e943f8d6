internal import RedisStreams

/// A script of the library, written in Swift. The conformance tests compare it with the Lua on real servers.
struct NativeScript: Sendable {
    typealias Body = @Sendable (ScriptContext) throws(ReplyError) -> Void

    let source: Bytes
    let sha1: Bytes
    let run: Body

    private init(_ script: Script, _ run: @escaping Body) {
        source = Bytes(script.source)
        sha1 = Bytes(script.sha1)
        self.run = run
    }

    static let all = [
        NativeScript(.renew) { context throws(ReplyError) in try context.renew() },
        NativeScript(.acknowledge) { context throws(ReplyError) in try context.acknowledge() },
        NativeScript(.requeue) { context throws(ReplyError) in try context.requeue() },
        NativeScript(.reclaim) { context throws(ReplyError) in try context.reclaim() },
        NativeScript(.snapshot) { context throws(ReplyError) in try context.snapshot() },
        NativeScript(.deregister) { context throws(ReplyError) in try context.deregister() },
        NativeScript(.removeNames) { context throws(ReplyError) in try context.removeNames() },
        // Every user has all rights here.
        NativeScript(.rights) { context throws(ReplyError) in context.model.reply.array(0) },
        NativeScript(.publish) { context throws(ReplyError) in try context.publish() },
        NativeScript(.savePosition) { context throws(ReplyError) in try context.savePosition() },
        NativeScript(.probe) { context throws(ReplyError) in try context.probe() },
        NativeScript(.nextEntry) { context throws(ReplyError) in try context.nextEntry() },
        NativeScript(.trim) { context throws(ReplyError) in try context.trim() },
        NativeScript(.deadLetters) { context throws(ReplyError) in try context.deadLetters() },
        NativeScript(.redrive) { context throws(ReplyError) in try context.redrive() },
    ]

    private static let bySHA1 = Dictionary(uniqueKeysWithValues: all.map { ($0.sha1, $0) })

    static func withSHA1(_ sha1: Bytes) -> NativeScript? { bySHA1[sha1] }

    static func withSource(_ source: Bytes) -> NativeScript? { all.first { $0.source == source } }
}
