import RecommendationCore
import Testing

@testable import Serving

@Suite("What a store's failure means to a caller")
struct StoreFailureTests {
    private static func meant(of error: RepositoryError, toReader isReader: Bool) async -> ServingError? {
        let fail = { () async throws(RepositoryError) in throw error }
        do throws(ServingError) {
            if isReader { try await AdminService.reading(fail) } else { try await AdminService.mapped(fail) }
            return nil
        } catch {
            return error
        }
    }

    @Test("who reads hears that the store cannot be read; who writes, that nothing is known to be stored")
    func unavailable() async {
        for error in [RepositoryError.unavailable("told to"), .outcomeUnknown] {
            guard case .storeUnavailable = await Self.meant(of: error, toReader: true) else {
                Issue.record("a reader hears something else of \(error)")
                continue
            }
            guard case .notDurable = await Self.meant(of: error, toReader: false) else {
                Issue.record("a writer hears something else of \(error)")
                continue
            }
        }
        guard case .conflict("so it is") = await Self.meant(of: .conflict("so it is"), toReader: true) else {
            Issue.record("what else there is stays what it is")
            return
        }
    }
}
