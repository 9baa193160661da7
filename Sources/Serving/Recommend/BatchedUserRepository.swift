import Caching
package import RecommendationCore
import ServiceLifecycle

/// Reads of users in batches: what concurrent misses ask for within a tick is one statement.
///
/// Each member of a batch is read from a snapshot opened after it was asked for, and so after its compute lease was taken. A
/// user alone is read as before. A batch that fails for what is stored of one of its members is read again one by one.
package struct BatchedUserRepository: UserRepository, Service {
    private struct Name: Sendable {
        let user: User.ID
        let tenant: Tenant.ID
    }

    private let users: any UserRepository
    private let batcher: TickBatcher<Name, Result<UserState, RepositoryError>, RepositoryError>

    /// - Parameters:
    ///   - maximumSize: Users in one statement; their histories come with them.
    ///   - width: Statements at once.
    package init(_ users: any UserRepository, maximumSize: Int = 32, width: Int = 4) {
        self.users = users
        self.batcher = TickBatcher(
            name: "user",
            maximumSize: maximumSize,
            width: width,
            cancelled: .unavailable("cancelled")
        ) { names async throws(RepositoryError) in
            try await Self.states(of: names, in: users)
        }
    }

    var isRunning: Bool { self.batcher.isRunning }
    /// Reads that wait for their batch to be sent.
    var waiting: Int { self.batcher.waiting }

    package func run() async throws { try await self.batcher.run() }

    package func state(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> UserState {
        try await self.batcher.load(Name(user: user, tenant: tenant)).get()
    }

    package func states(of users: [User.ID], tenant: Tenant.ID) async throws(RepositoryError) -> [UserState] {
        try await self.users.states(of: users, tenant: tenant)
    }

    package func version(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> User.Version {
        try await self.users.version(of: user, tenant: tenant)
    }

    package func standing(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> UserStanding {
        try await self.users.standing(of: user, tenant: tenant)
    }

    package func raiseVersion(
        of user: User.ID,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (version: User.Version, transaction: UInt64)? {
        try await self.users.raiseVersion(of: user, tenant: tenant)
    }

    private static func states(
        of names: [Name],
        in users: any UserRepository
    ) async throws(RepositoryError) -> [Result<UserState, RepositoryError>] {
        var states = [Result<UserState, RepositoryError>](repeating: .success(.unknown), count: names.count)
        for (tenant, places) in Dictionary(grouping: names.indices, by: { names[$0].tenant }) {
            var alone = places
            if places.count > 1 {
                do throws(RepositoryError) {
                    let read = try await users.states(of: places.map { names[$0].user }, tenant: tenant)
                    for (place, state) in zip(places, read) { states[place] = .success(state) }
                    alone = []
                } catch {
                    guard case .corrupt = error else {
                        for place in places { states[place] = .failure(error) }
                        continue
                    }
                }
            }
            for place in alone {
                do throws(RepositoryError) {
                    states[place] = .success(try await users.state(of: names[place].user, tenant: tenant))
                } catch {
                    states[place] = .failure(error)
                }
            }
        }
        return states
    }
}
