import NIOCore
import NIOPosix
import RedisStreamsTesting

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// `InMemoryRedis` on a port, by the clock of the machine, for clients in any language.
@main
struct InMemoryRedisServer {
    static func main() async throws {
        let options: Options
        do throws(Options.Mistake) {
            guard let read = try Options(CommandLine.arguments.dropFirst()) else { return print(Options.usage) }
            options = read
        } catch {
            print("error: \(error.message)\n\n\(Options.usage)")
            exit(64)
        }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let host = RedisHost(
            version: options.version,
            password: options.password,
            wallTime: wallTime(),
            eventLoop: group.next()
        )
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectionHandler(host))
                }
            }
            .bind(host: "127.0.0.1", port: options.port).get()
        let port = channel.localAddress?.port ?? options.port
        host.setPort(port)
        print("Redis \(options.version.rawValue), in memory, listens on 127.0.0.1:\(port)")
        try await channel.closeFuture.get()
    }

    /// In milliseconds since 1970.
    private static func wallTime() -> Int {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }
}
