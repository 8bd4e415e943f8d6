#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The host, the process and the wall clock, as the operating system reports them.
enum Host {
    /// The time of the wall clock.
    static var millisecondsSince1970: Int {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int(time.tv_sec) * 1000 + Int(time.tv_nsec) / 1_000_000
    }

    static var processID: Int { Int(getpid()) }

    /// The host name, as far as it consists of ASCII letters, digits, dots and dashes.
    static let name: String = {
        var bytes = [CChar](repeating: 0, count: 256)
        let status = unsafe gethostname(&bytes, bytes.count - 1)
        let name = bytes.prefix { $0 != 0 }.map { Character(UnicodeScalar(UInt8(bitPattern: $0))) }
            .filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") }
        return status == 0 && !name.isEmpty ? String(name) : "host"
    }()
}
