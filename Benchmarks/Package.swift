// swift-tools-version: 6.2
import PackageDescription

let isStrict = Context.environment["REDIS_STREAMS_STRICT"] == "1"

let swiftSettings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        .strictMemorySafety(),
    ] + (isStrict ? [.treatAllWarnings(as: .error)] : [])

let package = Package(
    name: "benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        // Without TLS, which takes minutes to build and is not measured here.
        .package(name: "swift-redis-streams", path: "..", traits: []),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CHiredisBaseline",
            pkgConfig: "hiredis",
            providers: [.apt(["libhiredis-dev"]), .brew(["hiredis"])]
        ),
        // The yardstick: what a C programmer writes. A program of its own, with nothing of Swift in it.
        .executableTarget(name: "CBaseline", dependencies: ["CHiredisBaseline"]),
        // The Swift side of a measurement.
        .target(
            name: "BenchmarkWork",
            dependencies: [
                .product(name: "RedisStreams", package: "swift-redis-streams"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings
        ),
        .executableTarget(
            name: "bench",
            dependencies: ["BenchmarkWork", .product(name: "RedisStreams", package: "swift-redis-streams")],
            swiftSettings: swiftSettings
        ),
        // The Swift side once more, in a process whose allocations are counted.
        .target(name: "CAllocations"),
        .executableTarget(
            name: "allocations",
            dependencies: ["BenchmarkWork", "CAllocations"],
            swiftSettings: swiftSettings
        ),
    ],
    swiftLanguageModes: [.v6]
)
