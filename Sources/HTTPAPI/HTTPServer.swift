import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
package import RecommendationCore
import ServiceLifecycle

/// One listening port as a service: the public API, or administration and operations.
///
/// Graceful shutdown stops listening, lets requests in progress end, closes idle connections, and then returns.
package struct HTTPServer: Service {
    package enum Role: String, Sendable {
        case `public`, admin

        /// What the port answers; all of it is in `deploy/openapi.json`, and nothing else is.
        func routes(_ useCases: UseCases, wallClock: @escaping @Sendable () -> Timestamp) -> [Route] {
            let waiting = Waiting(everywhere: useCases.everywhere)
            return switch self {
            case .public:
                RecommendationRoutes(useCases: useCases).routes + ListRoutes(useCases: useCases.lists).routes
                    + SessionRoutes(useCases: useCases.lists, wallClock: wallClock).routes
                    + FeedbackRoutes(useCases: useCases).routes
                    + ImpressionRoutes(useCases: useCases).routes
                    + ItemRoutes(useCases: useCases.catalogue, waiting: waiting).routes
                    + UserRoutes(useCases: useCases.catalogue).routes
                    + ErasureRoutes(useCases: useCases.erasures).routes + DecisionRoutes(useCases: useCases).routes
            case .admin:
                TombstoneRoutes(useCases: useCases, wallClock: wallClock).routes
                    + PurgeRoutes(useCases: useCases).routes
                    + CacheRoutes(useCases: useCases.catalogue).routes
                    + PolicyRoutes(useCases: useCases.policies, waiting: waiting).routes
                    + ModelRoutes(useCases: useCases.models, waiting: waiting).routes
                    + ExperimentRoutes(useCases: useCases.experiments, waiting: waiting).routes
                    + JobRoutes(models: useCases.models, warming: useCases.warming).routes
                    + QualityRoutes(useCases: useCases).routes + EpochRoutes(useCases: useCases).routes
                    + SelfCheckRoutes(useCases: useCases.selfCheck).routes
                    + FleetRoutes(useCases: useCases).routes + OperationsRoutes(useCases: useCases).routes
            }
        }
    }

    let application: Application<Responder>
    private let listener: Listener

    /// - Parameters:
    ///   - calls: The bounds on calls in progress, which both ports share; nil: the port has some of its own.
    ///   - wallClock: The time for request ids and for dates that must lie ahead.
    ///   - onBound: Called once with the bound port, before the first connection is accepted.
    package init(
        _ role: Role,
        configuration: HTTPConfiguration,
        useCases: UseCases,
        calls: CallLimits? = nil,
        log: Logger,
        wallClock: @escaping @Sendable () -> Timestamp,
        onBound: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        let limits = configuration.limits
        let routes = role.routes(useCases, wallClock: wallClock)
        let table = RouteTable(routes)
        // A connection knows of no route, and asks for what any of them may take.
        var connectionLimits = limits
        connectionLimits.body = routes.reduce(limits.body) { max($0, $1.allowance?.body ?? 0) }
        let listener = Listener()
        self.listener = listener
        let telemetry = RequestTelemetry(templates: table.templates, log: log)
        let identity = RequestIdentity(wallClock: wallClock)
        let deadlines = Deadlines(limit: limits.deadline)
        let refuse: @Sendable (Refusal) -> RefusalResponse = { refusal in
            let id = identity.make()
            telemetry.refused(refusal, requestID: id)
            return RefusalResponse(refusal, requestID: id, serverName: configuration.serverName)
        }
        let isAdmin = role == .admin
        let desks: LaneDesks? =
            if let immediate = useCases.immediate, let answers = telemetry.answers(of: RecommendationRoutes.personal) {
                LaneDesks(
                    LanePlan(
                        immediate: immediate,
                        authentication: configuration.authentication,
                        rates: useCases.rates,
                        isStopping: useCases.isStopping,
                        telemetry: answers,
                        serverName: configuration.serverName,
                        wallClock: wallClock
                    )
                )
            } else {
                nil
            }
        self.application = Application(
            responder: Responder(
                routes: table,
                authentication: Authentication(isOn: configuration.authentication, look: useCases.authenticate),
                identity: identity,
                deadlines: deadlines,
                calls: calls ?? CallLimits(limits.calls),
                rates: useCases.rates,
                telemetry: telemetry,
                waitTime: limits.waitTime,
                maximumBody: limits.body,
                isStopping: useCases.isStopping
            ),
            server: HTTPServerBuilder { [connectionLimits] responder in
                GuardedChannel(responder: responder, limits: connectionLimits, desks: desks, refuse: refuse)
            },
            configuration: ApplicationConfiguration(
                address: .hostname(
                    isAdmin ? configuration.adminHost : configuration.host,
                    port: isAdmin ? configuration.adminPort : configuration.port
                ),
                serverName: configuration.serverName
            ),
            services: [deadlines] + [desks].compactMap(\.self),
            onServerRunning: { channel in
                listener.bound(channel)
                await onBound(channel.localAddress?.port ?? 0)
            },
            logger: log
        )
    }

    /// Lets nobody new in, while who is in the queue still is; for some moments before the shutdown.
    package func refuseNew() async {
        await self.listener.refuseNew()
    }

    package func run() async throws {
        try await self.application.run()
    }
}
