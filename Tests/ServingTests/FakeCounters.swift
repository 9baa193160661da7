import RecommendationCore
import Synchronization
import VireoTestKit

@testable import Serving

/// Counters in memory, of one fleet of one clock, by the rules of the port.
final class FakeCounters: FrequencyCounters {
    static let hold: Int64 = 600_000

    private struct Entry {
        let began: Int64
        var isShown: Bool
        let id: [UInt8]
        let surface: String
    }

    private struct State {
        var isAway = false
        var calls = 0
        var whole: Set<User.ID> = []
        var entries: [User.ID: [Item.Number: [Entry]]] = [:]
        /// Refuses all but these, and does not say what else it would refuse.
        var refusesBut: Set<Item.Number>?
        var needsWhole = false
        var latch: Latch?
    }

    private let state = Mutex(State())
    private let clock: ManualClock

    init(clock: ManualClock) {
        self.clock = clock
    }

    var isAway: Bool {
        get { self.state.withLock { $0.isAway } }
        set { self.state.withLock { $0.isAway = newValue } }
    }

    var calls: Int { self.state.withLock { $0.calls } }

    /// Reserves nothing until a latch is opened.
    func waits(for latch: Latch) { self.state.withLock { $0.latch = latch } }

    func refuses(allBut items: Set<Item.Number>) { self.state.withLock { $0.refusesBut = items } }

    /// From now on who is not known has to be completed first.
    func forgetsAll() {
        self.state.withLock { state in
            state.entries = [:]
            state.whole = []
            state.needsWhole = true
        }
    }

    /// How often an item counts for a user.
    func count(_ item: Item.Number, of user: User.ID) -> Int {
        self.state.withLock { state in
            (state.entries[user]?[item] ?? []).count { $0.isShown || $0.began + Self.hold > self.clock.milliseconds }
        }
    }

    func reserve(_ reservation: CapReservation, tenant: Tenant.ID) async throws(RepositoryError) -> CapOutcome {
        await self.state.withLock { $0.latch }?.wait()
        let outcome = self.state.withLock { state -> CapOutcome? in
            state.calls += 1
            guard !state.isAway else { return nil }
            if state.needsWhole, reservation.isWhole, !state.whole.contains(reservation.user) { return .incomplete }
            let now = self.clock.milliseconds
            var own = state.entries[reservation.user] ?? [:]
            for item in reservation.released { own[item]?.removeAll { $0.id == reservation.id && !$0.isShown } }
            func isFull(_ item: CappedItem) -> Bool {
                let entries = (own[item.number] ?? []).filter {
                    ($0.isShown || $0.began + Self.hold > now) && $0.id != reservation.id
                }
                return reservation.caps.enumerated().contains { index, cap in
                    guard item.caps >> UInt8(index) & 1 == 1 else { return false }
                    let since = now - Int64(cap.window / .milliseconds(1))
                    return entries.count {
                        $0.began > since && (!cap.isOfSurface || $0.surface == reservation.surface)
                    } >= cap.maximum
                }
            }
            var refused: Set<Item.Number> = []
            for item in reservation.chosen {
                if state.refusesBut.map({ !$0.contains(item.number) }) ?? isFull(item) {
                    refused.insert(item.number)
                } else if !(own[item.number] ?? []).contains(where: { $0.id == reservation.id }) {
                    let entry = Entry(began: now, isShown: false, id: reservation.id, surface: reservation.surface)
                    own[item.number, default: []].append(entry)
                }
            }
            state.entries[reservation.user] = own
            let asksOthers = !refused.isEmpty || reservation.chosen.isEmpty
            let full = !asksOthers || state.refusesBut != nil ? [] : reservation.others.filter(isFull)
            return .reserved(refused: refused, full: Set(full.map(\.number)))
        }
        guard let outcome else { throw .unavailable("told to") }
        return outcome
    }

    func confirm(
        _ shown: [User.ID: [ShownItem]],
        keeping time: Duration,
        tenant: Tenant.ID
    ) async throws(RepositoryError) {
        for (user, items) in shown { try await self.add(items, of: user, isWhole: false) }
    }

    func complete(
        _ shown: [ShownItem],
        of user: User.ID,
        covering time: Duration,
        tenant: Tenant.ID
    ) async throws(RepositoryError) {
        try await self.add(shown, of: user, isWhole: true)
    }

    private func add(_ shown: [ShownItem], of user: User.ID, isWhole: Bool) async throws(RepositoryError) {
        let isAway = self.state.withLock { state in
            state.calls += 1
            guard !state.isAway else { return true }
            for item in shown {
                var entries = state.entries[user]?[item.number] ?? []
                if let place = entries.firstIndex(where: { $0.id == item.recommendationID }) {
                    entries[place].isShown = true
                } else {
                    let began = item.recommendationID.prefix(6).reduce(Int64(0)) { $0 << 8 | Int64($1) }
                    entries.append(
                        Entry(began: began, isShown: true, id: item.recommendationID, surface: item.surface)
                    )
                }
                state.entries[user, default: [:]][item.number] = entries
            }
            if isWhole { state.whole.insert(user) }
            return false
        }
        if isAway { throw .unavailable("told to") }
    }

    func isWhole(_ user: User.ID) -> Bool { self.state.withLock { $0.whole.contains(user) } }

    func doubt(_ users: [User.ID], tenant: Tenant.ID) async throws(RepositoryError) {
        self.state.withLock { $0.whole.subtract(users) }
    }

    func forget(_ user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) {
        self.state.withLock { state in
            state.entries[user] = nil
            state.whole.remove(user)
        }
    }
}

/// Impressions of before, of whoever asks; a store that can be away.
final class ShownBefore: ImpressionRepository {
    private struct State {
        var isAway = false
        var latch: Latch?
        var reads = 0
        var shown: [ShownItem] = []
    }

    private let state = Mutex(State())

    var isAway: Bool {
        get { self.state.withLock { $0.isAway } }
        set { self.state.withLock { $0.isAway = newValue } }
    }

    var reads: Int { self.state.withLock { $0.reads } }

    /// Says nothing until a latch is opened.
    func waits(for latch: Latch) { self.state.withLock { $0.latch = latch } }

    func has(_ shown: [ShownItem]) { self.state.withLock { $0.shown = shown } }

    func record(_ impressions: [Impression], tenant: Tenant.ID) async throws(RepositoryError) -> [ImpressionOutcome] {
        impressions.map { _ in .stored }
    }

    func shown(
        to user: User.ID,
        since time: Timestamp,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> [ShownItem] {
        let (isAway, shown) = self.state.withLock { state in
            state.reads += 1
            return (state.isAway, state.shown)
        }
        await self.state.withLock { $0.latch }?.wait()
        if isAway { throw .unavailable("told to") }
        return shown
    }

    func prune(before time: Timestamp) async throws(RepositoryError) -> Bool { false }
}
