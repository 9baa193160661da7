// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    ] + (Context.environment["WARNINGS_AS_ERRORS"] == nil ? [] : [.treatAllWarnings(as: .error)])

/// Settings of the targets that touch C: every unsafe expression is marked.
let driverSettings = settings + [.strictMemorySafety()]

let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")
let metricsTestKit: Target.Dependency = .product(name: "MetricsTestKit", package: "swift-metrics")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let histogram: Target.Dependency = .product(name: "Histogram", package: "hdrhistogram-swift")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")

let package = Package(
    name: "vireo",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "vireo", targets: ["vireo"])],
    dependencies: [
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: []),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CLibpq", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .target(name: "RecommendationCore", swiftSettings: settings),
        .target(name: "RecommendationEngine", dependencies: ["RecommendationCore"], swiftSettings: settings),
        .target(name: "Caching", dependencies: [log, metrics, lifecycle], swiftSettings: settings),
        .target(
            name: "Redis",
            dependencies: ["CHiredis", nioCore, nioPosix, nioSSL, log, metrics, lifecycle],
            swiftSettings: driverSettings
        ),
        .target(
            name: "Postgres",
            dependencies: ["CLibpq", nioPosix, log, metrics, lifecycle],
            swiftSettings: driverSettings
        ),
        .target(
            name: "RedisAdapters",
            dependencies: ["Redis", "Caching", "RecommendationCore", log],
            swiftSettings: settings
        ),
        .target(
            name: "PostgresAdapters",
            dependencies: ["Postgres", "Caching", "RecommendationCore", log, metrics, lifecycle],
            // A link to migrations/, so that the program carries them.
            resources: [.embedInCode("Migrations")],
            swiftSettings: settings
        ),
        .target(
            name: "Serving",
            dependencies: ["RecommendationCore", "RecommendationEngine", "Caching", crypto, log, metrics, lifecycle],
            swiftSettings: settings
        ),
        .target(
            name: "Training",
            dependencies: ["RecommendationCore", "RecommendationEngine", log, metrics, lifecycle],
            swiftSettings: settings
        ),
        .target(
            name: "HTTPAPI",
            dependencies: [
                "Serving", "RecommendationCore", log, metrics, lifecycle, nioCore, nioHTTP1,
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            // A link to deploy/openapi.json, so that the program serves it.
            resources: [.embedInCode("openapi.json")],
            swiftSettings: settings
        ),
        .target(name: "Observability", dependencies: [log, metrics], swiftSettings: settings),
        .target(
            name: "LocalServers",
            dependencies: [.product(name: "Subprocess", package: "swift-subprocess"), log],
            swiftSettings: settings
        ),
        .target(
            name: "LoadClient",
            dependencies: [nioCore, nioHTTP1, nioPosix, histogram],
            swiftSettings: settings
        ),
        .target(
            name: "LoadTest",
            dependencies: ["LoadClient", nioCore, nioHTTP1, nioPosix, histogram],
            resources: [.embedInCode("Scenarios")],
            swiftSettings: settings
        ),
        .target(
            name: "CoherenceCheck",
            dependencies: ["LoadClient", nioCore, nioHTTP1, nioPosix, histogram],
            swiftSettings: settings
        ),
        .target(
            name: "App",
            dependencies: [
                "RecommendationCore", "RecommendationEngine", "Caching", "Redis", "Postgres", "RedisAdapters",
                "PostgresAdapters", "Serving", "Training", "HTTPAPI", "Observability", "LocalServers",
                .product(name: "Configuration", package: "swift-configuration"),
                log, metrics, lifecycle, crypto, nioCore, nioHTTP1, nioPosix,
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "VireoTestKit",
            dependencies: ["RecommendationCore", "Caching"],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "vireo",
            dependencies: [
                "App", "CoherenceCheck", "LoadClient", "LoadTest", "RecommendationCore", "RecommendationEngine",
                "Training",
                "Observability", log, metrics,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "fixed-body",
            dependencies: [.product(name: "Hummingbird", package: "hummingbird"), nioCore],
            path: "Benchmarks/FixedBody",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "store-bench",
            dependencies: ["Redis", "Postgres", log],
            path: "Benchmarks/StoreBench",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "fit-bench",
            dependencies: ["RecommendationCore", "RecommendationEngine"],
            path: "Benchmarks/FitBench",
            exclude: ["peer.py"],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "cache-sim",
            path: "Benchmarks/CacheSim",
            exclude: ["README.md"],
            swiftSettings: settings
        ),
        .testTarget(name: "RecommendationCoreTests", dependencies: ["RecommendationCore"], swiftSettings: settings),
        .testTarget(
            name: "RecommendationEngineTests",
            dependencies: ["RecommendationEngine", "RecommendationCore"],
            swiftSettings: settings
        ),
        .testTarget(name: "CachingTests", dependencies: ["Caching", "VireoTestKit", log], swiftSettings: settings),
        .testTarget(
            name: "SimulationTests",
            dependencies: ["Caching", "LoadClient", log],
            swiftSettings: settings
        ),
        .testTarget(
            name: "RedisTests",
            dependencies: [
                "Redis", "LocalServers", nioCore, nioPosix, log, metrics, metricsTestKit, lifecycle,
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "Subprocess", package: "swift-subprocess"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "PostgresTests",
            dependencies: ["Postgres", "LocalServers", nioCore, nioPosix, log, metrics, metricsTestKit, lifecycle],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ObservabilityTests",
            dependencies: ["Observability", log, metrics],
            swiftSettings: settings
        ),
        .testTarget(name: "LocalServersTests", dependencies: ["LocalServers", log], swiftSettings: settings),
        .testTarget(
            name: "LoadTestTests",
            dependencies: ["LoadClient", "LoadTest", nioCore, nioHTTP1, nioPosix, histogram],
            swiftSettings: settings
        ),
        .testTarget(
            name: "CoherenceCheckTests",
            dependencies: ["CoherenceCheck", "LoadClient", nioCore, nioHTTP1, nioPosix, histogram],
            swiftSettings: settings
        ),
        .testTarget(
            name: "HTTPAPITests",
            dependencies: [
                "HTTPAPI", "Serving", "Caching", "RecommendationCore", log, metrics, metricsTestKit, lifecycle, nioCore,
                nioHTTP1,
                nioPosix, .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "InMemoryLogging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ServingTests",
            dependencies: [
                "Serving", "Caching", "RecommendationCore", "RecommendationEngine", "VireoTestKit", crypto, log,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "TrainingTests",
            dependencies: ["Training", "RecommendationCore", "RecommendationEngine", log],
            swiftSettings: settings
        ),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "Caching", "HTTPAPI", "LocalServers", "Postgres", "PostgresAdapters", "RecommendationCore",
                "RecommendationEngine", "Redis", "RedisAdapters", "Serving", "Training", "VireoTestKit", log,
                metrics, metricsTestKit,
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "FleetTests",
            dependencies: ["vireo", "LocalServers", log, nioCore, nioPosix],
            swiftSettings: settings
        ),
    ]
)
