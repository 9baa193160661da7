import App
import ArgumentParser
import Logging
import Observability
import RecommendationCore

/// What commands of the shell that talk to the store have in common.
struct StoreOptions: ParsableArguments {
    @Option(help: "A JSON file with settings; the environment and flags are stronger.")
    var config: String?

    @Option(help: "PostgreSQL, as postgresql://user@host:port/database; a password belongs into VIREO_POSTGRES_URL.")
    var postgresURL: String?

    @Option(help: "debug, info, warning or error; what goes wrong is told without it.")
    var logLevel: String?

    func sources() async throws -> SettingSources {
        var flags: [SettingName: String] = [:]
        flags[.postgresURL] = self.postgresURL
        flags[.logLevel] = self.logLevel
        return try await SettingSources(flags: flags, environment: Environment.current, file: self.config)
    }

    func settings() async throws -> Settings { try Settings.read(try await self.sources()) }

    /// Commands of the shell are silent but for warnings, unless a level is asked for.
    func logger(_ settings: Settings) -> Logger {
        let level = self.logLevel == nil ? Logger.Level.error : settings.logLevel
        LoggingSystem.bootstrap { _ in ConsoleLogHandler(level: level) }
        return Logger(label: "vireo")
    }

    func session<Result: Sendable>(_ body: (StoreSession) async throws -> Result) async throws -> Result {
        let settings = try await self.settings()
        return try await StoreSession.with(settings, log: self.logger(settings), body)
    }
}

/// The tenant of a command.
struct TenantOption: ParsableArguments {
    @Option(help: "The tenant; 1 to 128 bytes.")
    var tenant = "default"

    func id() throws -> Tenant.ID {
        do {
            return try Tenant.ID(validating: self.tenant)
        } catch {
            throw ValidationError("--tenant must be \(IdentifierError.allowed)")
        }
    }
}
