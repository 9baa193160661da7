package import Caching
import Synchronization

/// A journal and a control feed whose content a test sets.
package final class StubJournal: Journal, JournalTail, ControlFeed {
    private struct State {
        var page = JournalPage(invalidations: [], next: JournalPosition("1:1:")!, controlHead: 0)
        var head: UInt64 = 1
        var positions: [JournalPosition?] = []
        var catchUps = 0
        var controlFails = false
        var applied: Int64 = 0
        var onPage: @Sendable () -> Void = {}
        var onCatchUp: @Sendable () -> Void = {}
        var rows: [(transaction: UInt64, invalidation: Invalidation)] = []
        var polls: [JournalPosition?] = []
        var pollFails = false
    }

    private let state = Mutex(State())

    package init() {}

    package var page: JournalPage {
        get { self.state.withLock { $0.page } }
        set { self.state.withLock { $0.page = newValue } }
    }

    package var headNow: UInt64 {
        get { self.state.withLock { $0.head } }
        set { self.state.withLock { $0.head = newValue } }
    }

    package var controlFails: Bool {
        get { self.state.withLock { $0.controlFails } }
        set { self.state.withLock { $0.controlFails = newValue } }
    }

    /// Runs before each page is read.
    package var onPage: @Sendable () -> Void {
        get { self.state.withLock { $0.onPage } }
        set { self.state.withLock { $0.onPage = newValue } }
    }

    /// Runs while the control log is read.
    package var onCatchUp: @Sendable () -> Void {
        get { self.state.withLock { $0.onCatchUp } }
        set { self.state.withLock { $0.onCatchUp = newValue } }
    }

    /// The positions that were asked for.
    package var positions: [JournalPosition?] { self.state.withLock { $0.positions } }
    package var catchUps: Int { self.state.withLock { $0.catchUps } }

    /// What the node has applied of the control log.
    package var appliedControl: Int64 { self.state.withLock { $0.applied } }

    package func setApplied(_ id: Int64) { self.state.withLock { $0.applied = id } }

    package func page(from position: JournalPosition?) async throws(JournalError) -> JournalPage {
        self.onPage()
        return self.state.withLock { state in
            state.positions.append(position)
            return state.page
        }
    }

    /// Commits a row: the next transaction, of which the head knows.
    package func commit(_ key: CacheKey, _ version: Int64) {
        self.state.withLock { state in
            state.rows.append((state.head, Invalidation(key: key, version: version)))
            state.head += 1
        }
    }

    package var pollFails: Bool {
        get { self.state.withLock { $0.pollFails } }
        set { self.state.withLock { $0.pollFails = newValue } }
    }

    /// The positions that were polled from.
    package var polls: [JournalPosition?] { self.state.withLock { $0.polls } }

    package func poll(from position: JournalPosition?, limit: Int) async throws(JournalError) -> JournalPoll {
        self.onPage()
        let (fails, rows, head) = self.state.withLock { state in
            state.polls.append(position)
            return (state.pollFails, state.rows, state.head)
        }
        if fails { throw .unavailable("told to") }
        let later = rows.filter { row in position.map { !$0.covers(row.transaction) } ?? false }
        return JournalPoll(
            invalidations: later.prefix(limit).map(\.invalidation),
            next: JournalPosition("\(head):\(head):")!,
            isWhole: later.count <= limit
        )
    }

    package func head() async throws(JournalError) -> JournalPosition {
        let head = self.headNow
        return JournalPosition("\(head):\(head):")!
    }

    package func maintain() async throws(JournalError) {}

    package func catchUp() async throws {
        self.onCatchUp()
        let fails = self.state.withLock { state in
            state.catchUps += 1
            return state.controlFails
        }
        if fails { throw JournalError.unavailable("told to") }
    }
}

/// Leads, or does not.
package final class StubLeadership: Leadership {
    private let state: Mutex<(leads: Bool, resigned: Int)>

    package init(leads: Bool) {
        self.state = Mutex((leads, 0))
    }

    package var resigned: Int { self.state.withLock { $0.resigned } }
    package func isLeader() async -> Bool { self.state.withLock { $0.leads } }
    package func resign() async { self.state.withLock { $0.resigned += 1 } }
}
