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

let redisStreams: Target.Dependency = .product(name: "RedisStreams", package: "swift-redis-streams")

let package = Package(
    name: "chaos",
    platforms: [.macOS(.v15)],
    dependencies: [
        // Without TLS, which takes minutes to build and is not used here.
        .package(name: "swift-redis-streams", path: "..", traits: []),
        .package(url: "https://github.com/apple/swift-nio", from: "2.86.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    ],
    targets: [
        // What the two programs share: work orders, and the files of effects.
        .target(name: "ChaosWork", dependencies: [redisStreams], swiftSettings: swiftSettings),
        .target(name: "CSpawn"),
        .executableTarget(
            name: "chaos",
            dependencies: [
                "ChaosWork", "CSpawn", redisStreams,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: swiftSettings
        ),
        // A consumer in its own process, which the cases kill, stop and shut down.
        .executableTarget(
            name: "chaos-worker",
            dependencies: [
                "ChaosWork", redisStreams,
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: swiftSettings
        ),
    ],
    swiftLanguageModes: [.v6]
)
