import NIOCore
import NIOPosix
import RedisStreamsTesting

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Runs an `InMemoryRedis` on a port, with the clock of the machine, for clients in any language.
@main
struct InMemoryRedisServer {
    static func main() async throws {
        let options: Options
        do throws(Options.Mistake) {
            guard let read = try Options(CommandLine.arguments.dropFirst()) else { return print(Options.usage) }
            options = read
        } catch {
            fail("\(error.message)\n\n\(Options.usage)", status: 64)
        }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let host = RedisHost(
            version: options.version,
            password: options.password,
            wallTime: wallTime(),
            eventLoop: group.next()
        )
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ConnectionHandler(host))
                }
            }
        let channel: any Channel
        do {
            channel = try await bootstrap.bind(host: "127.0.0.1", port: options.port).get()
        } catch {
            let isTaken = (error as? IOError)?.errnoCode == EADDRINUSE
            fail(
                isTaken
                    ? "Port \(options.port) is in use already." : "Cannot listen on port \(options.port): \(error)",
                status: 1
            )
        }
        let port = channel.localAddress?.port ?? options.port
        host.setPort(port)
        say("Redis \(options.version.rawValue), in memory, listens on 127.0.0.1:\(port)", to: STDOUT_FILENO)
        try await channel.closeFuture.get()
    }

    private static func fail(_ message: String, status: CInt) -> Never {
        say("error: \(message)", to: STDERR_FILENO)
        exit(status)
    }

    /// Writes a line at once, also to a pipe, where `print` would buffer it.
    private static func say(_ line: String, to file: CInt) {
        unsafe Array("\(line)\n".utf8).withUnsafeBytes { _ = unsafe write(file, $0.baseAddress, $0.count) }
    }

    /// The time in milliseconds since 1970.
    private static func wallTime() -> Int {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }
}
