// swift-tools-version: 6.2
import PackageDescription

let example: [Target.Dependency] = [
    "Support",
    .product(name: "RedisStreams", package: "swift-redis-streams"),
    .product(name: "ArgumentParser", package: "swift-argument-parser"),
]
let service: [Target.Dependency] = [
    .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
    .product(name: "Logging", package: "swift-log"),
]

/// CI sets this, as for the library.
let isStrict = Context.environment["REDIS_STREAMS_STRICT"] == "1"
let swiftSettings: [SwiftSetting] = isStrict ? [.treatAllWarnings(as: .error)] : []

let package = Package(
    name: "swift-redis-streams-examples",
    platforms: [.macOS(.v15)],
    dependencies: [
        // Without the trait TLS, whose BoringSSL alone takes minutes to build. In a package of your own, leave out
        // `traits`, and give the URL of the repository instead of `path`.
        .package(name: "swift-redis-streams", path: "..", traits: []),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    ],
    targets: [
        .executableTarget(name: "quickstart", dependencies: example, swiftSettings: swiftSettings),
        .executableTarget(name: "fanout", dependencies: example, swiftSettings: swiftSettings),
        .executableTarget(name: "group-worker", dependencies: example + service, swiftSettings: swiftSettings),
        .executableTarget(name: "produce", dependencies: example + service, swiftSettings: swiftSettings),
        .target(
            name: "Support",
            dependencies: Array(example.dropFirst()) + [.product(name: "Logging", package: "swift-log")],
            swiftSettings: swiftSettings
        ),
    ],
    swiftLanguageModes: [.v6]
)
