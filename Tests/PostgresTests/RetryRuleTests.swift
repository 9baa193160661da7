import Testing

@testable import Postgres

@Suite("When a call may run again")
struct RetryRuleTests {
    @Test("what may write, if nothing was sent; what only reads, in any case; three times at most")
    func connectionLost() {
        #expect(RetryRule.unsent.allows(.connectionLost, hasSent: false, attempt: 1))
        #expect(RetryRule.unsent.allows(.connectionLost, hasSent: false, attempt: 2))
        #expect(!RetryRule.unsent.allows(.connectionLost, hasSent: false, attempt: 3))
        #expect(!RetryRule.unsent.allows(.connectionLost, hasSent: true, attempt: 1))
        #expect(RetryRule.reads.allows(.connectionLost, hasSent: true, attempt: 2))
        #expect(!RetryRule.reads.allows(.connectionLost, hasSent: true, attempt: 3))
    }

    @Test("only a read is tried again after a conflict")
    func conflicts() {
        for state in [SQLState.serializationFailure, .deadlockDetected] {
            let error = PostgresError.server(PostgresServerError(sqlState: state, message: ""))
            #expect(RetryRule.reads.allows(error, hasSent: true, attempt: 1))
            #expect(!RetryRule.unsent.allows(error, hasSent: true, attempt: 1))
        }
    }

    @Test("no other failure is a reason to try again, sent or not")
    func others() {
        let errors: [PostgresError] = [
            .commitUnknown, .timedOut, .cancelled, .poolTimeout, .shutDown, .rowRefused(error: ""),
            .connectionFailed(reason: ""), .server(PostgresServerError(sqlState: .syntaxError, message: "")),
        ]
        for error in errors {
            for rule in [RetryRule.unsent, .reads] {
                #expect(!rule.allows(error, hasSent: true, attempt: 1))
                #expect(!rule.allows(error, hasSent: false, attempt: 1))
            }
        }
    }
}
