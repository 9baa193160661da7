import RecommendationCore
import Synchronization
import Testing

@testable import Serving

@Suite("Reads of users in batches")
struct BatchedUserRepositoryTests {
    /// Users with a version each; remembers the statements it was asked for.
    private final class Store: UserRepository {
        private struct State {
            var statements: [[String]] = []
            var poisoned: String?
        }

        private let state = Mutex(State())
        let isHeld = Mutex(true)

        var statements: [[String]] { self.state.withLock { $0.statements } }
        func poison(_ user: String) { self.state.withLock { $0.poisoned = user } }

        func state(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> UserState {
            try await self.states(of: [user], tenant: tenant)[0]
        }

        func states(of users: [User.ID], tenant: Tenant.ID) async throws(RepositoryError) -> [UserState] {
            let ids = users.map(\.string)
            let isPoisoned = self.state.withLock { state in
                state.statements.append(ids)
                return state.poisoned.map(ids.contains) ?? false
            }
            while self.isHeld.withLock({ $0 }) { await Task.yield() }
            if isPoisoned { throw .corrupt("told to") }
            return ids.map { UserState(version: Int64($0.dropFirst())!, consent: true, history: [], suppressions: []) }
        }

        func version(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> User.Version { 0 }

        func standing(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> UserStanding { .unknown }

        func raiseVersion(
            of user: User.ID,
            tenant: Tenant.ID
        ) async throws(RepositoryError) -> (version: User.Version, transaction: UInt64)? { nil }
    }

    private let store = Store()

    /// Asks for 64 users at once, and lets the store answer when every one of them waits; what each got.
    private func ask(_ tenants: [Tenant.ID] = [.default]) async throws -> [Int: Result<UserState, RepositoryError>] {
        let batched = BatchedUserRepository(self.store, maximumSize: 64, width: 1)
        return try await withThrowingTaskGroup(of: Void.self) { service in
            service.addTask { try await batched.run() }
            while !batched.isRunning { await Task.yield() }
            let answers = await withTaskGroup(of: (Int, Result<UserState, RepositoryError>).self) { group in
                for number in 1...64 {
                    group.addTask {
                        let user = User.ID(trusted: "u\(number)")
                        do throws(RepositoryError) {
                            let tenant = tenants[number % tenants.count]
                            return (number, .success(try await batched.state(of: user, tenant: tenant)))
                        } catch {
                            return (number, .failure(error))
                        }
                    }
                }
                // The first of them are with the store, which holds them; the others wait for their turn. Of a batch of two
                // tenants the store has been asked for one.
                let known = tenants.count == 1 ? 64 : 1
                while batched.waiting + self.store.statements.joined().count < known { await Task.yield() }
                self.store.isHeld.withLock { $0 = false }
                return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            service.cancelAll()
            try await service.waitForAll()
            return answers
        }
    }

    @Test("64 concurrent misses are two statements at most, and each gets its own user")
    func statements() async throws {
        let answers = try await self.ask()
        for number in 1...64 { #expect(try answers[number]?.get().version == Int64(number)) }
        #expect(self.store.statements.joined().count == 64)
        #expect(self.store.statements.count <= 2, "\(self.store.statements.count) statements")
    }

    @Test("users of two tenants are never in one statement")
    func tenants() async throws {
        let answers = try await self.ask([.default, Tenant.ID(trusted: "other")])
        for number in 1...64 { #expect(try answers[number]?.get().version == Int64(number)) }
        for statement in self.store.statements {
            #expect(Set(statement.map { Int($0.dropFirst())! % 2 }).count == 1)
        }
    }

    @Test("what is stored of one user fails that user alone")
    func poisoned() async throws {
        self.store.poison("u7")
        let answers = try await self.ask()
        for number in 1...64 where number != 7 { #expect(try answers[number]?.get().version == Int64(number)) }
        #expect(throws: RepositoryError.corrupt("told to")) { try answers[7]?.get() }
    }
}
