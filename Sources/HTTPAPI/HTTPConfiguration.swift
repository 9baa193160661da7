/// Where the API listens and what it puts up with.
package struct HTTPConfiguration: Sendable {
    /// `VIREO_HTTP_HOST`, `VIREO_HTTP_PORT`; port 0 takes a free one.
    package var host: String
    package var port: Int
    /// `VIREO_ADMIN_HOST`, `VIREO_ADMIN_PORT`.
    package var adminHost: String
    package var adminPort: Int
    /// `VIREO_AUTH`; false: every call is tenant `default` with all scopes.
    package var authentication: Bool
    /// The `Server` header; nil: none.
    package var serverName: String?
    package var limits: Limits

    package struct Limits: Sendable {
        /// Bytes of a request's body.
        package var body = 1 << 20
        /// Bytes of a request's line and headers.
        package var headers = 64 << 10
        /// Number of headers.
        package var headerCount = 128
        /// From the first byte of a request to the end of its headers.
        package var headerTime: Duration = .seconds(10)
        /// From the end of the headers to the end of the body.
        package var bodyTime: Duration = .seconds(10)
        /// A connection without a request.
        package var idleTime: Duration = .seconds(60)
        /// How long a connection that is being closed may still send, so that the last answer is not lost to a reset.
        package var lingerTime: Duration = .seconds(1)
        /// How long a request waits on its event loop for what is asked for together with others, before the routes, which
        /// keep its deadline, answer it.
        package var patience: Duration = .milliseconds(100)
        /// How long a use case may take; then 504.
        package var deadline: Duration = .seconds(2)
        /// How many calls may be in progress.
        package var calls = CallLimits.Bounds()
        /// By how much longer it may take where the answer waits until every node has heard.
        package var waitTime: Duration = .milliseconds(2_050)

        package init() {}
    }

    package init(
        host: String = "127.0.0.1",
        port: Int = 8080,
        adminHost: String = "127.0.0.1",
        adminPort: Int = 9080,
        authentication: Bool = true,
        serverName: String? = "vireo",
        limits: Limits = Limits()
    ) {
        self.host = host
        self.port = port
        self.adminHost = adminHost
        self.adminPort = adminPort
        self.authentication = authentication
        self.serverName = serverName
        self.limits = limits
    }
}
