import RecommendationCore
import Synchronization
import Testing

@testable import Caching
@testable import Serving

/// What happens in a session is what its lists are made of: one node over stores in memory.
@Suite("Sessions")
struct SessionServingTests {
    /// What is kept of sessions, and which events the store holds; both can be away.
    final class Kept: SessionRepository, InteractionRepository {
        private struct State {
            var sessions: [Session.ID: [SessionEvent]] = [:]
            var gone: Set<SessionEvent> = []
            var areSessionsAway = false
            var isStoreAway = false
        }

        private let state = Mutex(State())

        func lose(sessions: Bool, store: Bool = false) {
            self.state.withLock { state in
                state.areSessionsAway = sessions
                state.isStoreAway = store
            }
        }

        func forget(_ events: [SessionEvent]) { self.state.withLock { $0.gone.formUnion(events) } }

        func append(
            _ events: [Session.ID: [SessionEvent]],
            tenant: Tenant.ID,
            until end: Int64
        ) async throws(RepositoryError) {
            self.state.withLock { $0.sessions.merge(events) { $0 + $1 } }
        }

        func events(of session: Session.ID, tenant: Tenant.ID) async throws(RepositoryError) -> [SessionEvent] {
            let (isAway, events) = self.state.withLock { ($0.areSessionsAway, $0.sessions[session] ?? []) }
            if isAway { throw .unavailable("told to") }
            return events
        }

        func holds(_ events: [SessionEvent], tenant: Tenant.ID) async throws(RepositoryError) -> [Bool] {
            let (isAway, gone) = self.state.withLock { ($0.isStoreAway, $0.gone) }
            if isAway, !events.isEmpty { throw .unavailable("told to") }
            return events.map { !gone.contains($0) }
        }
    }

    private struct Subject {
        let node: PolicyServingTests.Node
        let kept = Kept()
        let service: SessionService

        init(_ change: (inout Policy) -> Void = { _ in }) async throws {
            self.node = try await PolicyServingTests.Node(change)
            self.service = SessionService(self.node.context, sessions: self.kept, interactions: self.kept)
        }

        func ask(
            _ events: [SessionRequest.Event] = [],
            user: String? = nil,
            session: String? = "s1",
            limit: Int = 20,
            minimumVersion: User.Version = 0
        ) async throws(ServingError) -> Recommendation {
            var request = RecommendationRequest(
                tenant: .default,
                user: user.map { User.ID(trusted: $0) } ?? TokenSigner.nobody,
                surface: "home",
                limit: limit
            )
            request.minimumVersion = minimumVersion
            return try await self.service.recommend(
                SessionRequest(request, session: session.map { Session.ID(trusted: $0) }, events: events)
            )
        }

        func keep(_ events: SessionEvent..., in session: String = "s1") async throws {
            try await self.kept.append([Session.ID(trusted: session): events], tenant: .default, until: .max)
        }
    }

    private static func given(_ item: Int, _ type: EventType = .click, at seconds: Int64? = nil) -> SessionRequest.Event
    {
        SessionRequest.Event(
            item: Item.ID(trusted: "i\(item)"),
            type: type,
            value: 1,
            occurredAt: seconds.map { Timestamp(seconds: Fixture.now.microseconds / 1_000_000 + $0) }
        )
    }

    private static func kept(
        _ item: Int,
        _ type: EventType = .click,
        by user: String = "anon",
        at seconds: Int64 = 0
    ) -> SessionEvent {
        SessionEvent(
            user: User.ID(trusted: user),
            item: Item.ID(trusted: "i\(item)"),
            type: type,
            value: 1,
            occurredAt: Timestamp(seconds: Fixture.now.microseconds / 1_000_000 + seconds)
        )
    }

    private static func ids(_ answer: Recommendation) -> Set<String> { Set(answer.items.map(\.item.string)) }

    @Test(
        "a session of nobody is personal by its events: what was clicked is seen and explains, what was viewed is not"
    )
    func anonymous() async throws {
        let subject = try await Subject()
        let cold = try await subject.ask()
        #expect(cold.fallback == .coldStart && cold.fallbackReason == "no_history" && cold.user == nil)
        #expect(subject.node.users.reads == 0, "nobody is asked about")
        let answer = try await subject.ask([Self.given(5), Self.given(6, .view)])
        #expect(answer.fallback == nil && answer.tier == .computed && answer.user == nil && answer.userVersion == 0)
        #expect(!Self.ids(answer).contains("i5") && Self.ids(answer).contains("i6"))
        #expect(answer.filtered.seen == 1)
        #expect(answer.degraded.isEmpty)
        let seeds = Set(answer.items.compactMap { $0.seed?.item.string })
        #expect(!seeds.isEmpty && seeds.isSubset(of: ["i5", "i6"]))
        #expect(answer.items.map(\.item) != cold.items.map(\.item))
        // A token of nobody is good for whoever brings it.
        let signer = TokenSigner(Fixture.keys)
        let token = try signer.verify(answer.items[0].trackingToken, tenant: .default)
        #expect(token.origin.named == nil && token.origin.surface == "home" && token.origin.policy == "p8")
    }

    @Test("what is hidden or disliked in a session is not shown, and counts against its neighbours")
    func negative() async throws {
        let subject = try await Subject()
        let liked = try await subject.ask([Self.given(5)])
        for type in [EventType.hide, .dislike] {
            let answer = try await subject.ask([Self.given(5), Self.given(0, type)])
            #expect(!Self.ids(answer).contains("i0") && Self.ids(liked).contains("i0"))
            let (before, after) = (
                liked.items.first { $0.item.string == "i1" }?.collaborative ?? 0,
                answer.items.first { $0.item.string == "i1" }?.collaborative ?? 0
            )
            #expect(after < before)
        }
    }

    @Test("kept events count as if the request brought them, and with the history of the user who is named")
    func merged() async throws {
        let subject = try await Subject()
        try await subject.keep(Self.kept(5), Self.kept(7))
        let kept = try await subject.ask()
        let given = try await subject.ask([Self.given(5, at: 0), Self.given(7, at: 0)], session: nil)
        #expect(kept.items.map(\.item) == given.items.map(\.item))
        #expect(Self.ids(kept).isDisjoint(with: ["i5", "i7"]))
        let other = try await subject.ask(session: "s2")
        #expect(other.fallback == .coldStart, "another session knows nothing of it")
        let named = try await subject.ask([Self.given(9)], user: "ann")
        #expect(Self.ids(named).isDisjoint(with: ["i5", "i7", "i9", "i19"]), "i19 is in the history")
        #expect(named.user == User.ID(trusted: "ann") && named.userVersion == 1)
        #expect(named.filtered.seen == 4)
        #expect(try await subject.ask(user: "ann", minimumVersion: 1).userVersion == 1)
        await #expect(throws: ServingError.versionUnknown) { try await subject.ask(user: "ann", minimumVersion: 2) }
    }

    @Test("without consent the session's events count and the history does not; suppressions hold")
    func consent() async throws {
        let subject = try await Subject()
        try await subject.keep(Self.kept(5, by: "ann"))
        subject.node.users.allows(false)
        subject.node.users.suppresses([Suppression(kind: .category, key: Identifier(trusted: "c1"))])
        let answer = try await subject.ask(user: "ann")
        #expect(answer.fallback == nil, "it is personal by the session")
        #expect(Self.ids(answer).contains("i19"), "the history was not looked at")
        #expect(Self.ids(answer).isDisjoint(with: ["i5", "i1", "i8", "i15"]))
        #expect(answer.filtered.suppressed == 3)
        let none = try await subject.ask(user: "ann", session: nil)
        #expect(none.fallback == .coldStart && Self.ids(none).isDisjoint(with: ["i1", "i8", "i15"]))
    }

    @Test("an event counts once, however often it is told of")
    func once() async throws {
        let subject = try await Subject()
        let history = HistoryEvent(
            item: 5,
            type: .click,
            value: 1,
            occurredAt: Timestamp(seconds: Fixture.now.microseconds / 1_000_000)
        )
        subject.node.users.has([history])
        let plain = try await subject.ask(user: "ann", session: nil)
        try await subject.keep(Self.kept(5, by: "ann"))
        // In the history, in the session, and in the request with its time and without.
        let told = try await subject.ask([Self.given(5, at: 0), Self.given(5)], user: "ann")
        #expect(told.items.map(\.score) == plain.items.map(\.score))
        #expect(told.items.map(\.item) == plain.items.map(\.item))
        let another = try await subject.ask([Self.given(4)], user: "ann")
        #expect(another.items.map(\.score) != plain.items.map(\.score))
    }

    @Test("a kept event that the store does not hold any more, as after a reset, does not count")
    func reset() async throws {
        let subject = try await Subject()
        try await subject.keep(Self.kept(5), Self.kept(7))
        subject.kept.forget([Self.kept(5)])
        let answer = try await subject.ask()
        #expect(Self.ids(answer).contains("i5") && !Self.ids(answer).contains("i7"))
        subject.kept.forget([Self.kept(7)])
        #expect(try await subject.ask().fallback == .coldStart)
        subject.node.users.has([])
        #expect(try await subject.ask(user: "anon").fallback == .coldStart)
    }

    @Test("without Redis the request and the history are what there is, and the answer says so")
    func withoutSessions() async throws {
        let subject = try await Subject()
        try await subject.keep(Self.kept(5))
        subject.kept.lose(sessions: true)
        let answer = try await subject.ask([Self.given(7)], user: "ann")
        #expect(answer.degraded == [.redis] && answer.fallback == nil)
        #expect(Self.ids(answer).isDisjoint(with: ["i7", "i19"]) && Self.ids(answer).contains("i5"))
        #expect(try await subject.ask([Self.given(7)], session: nil).degraded.isEmpty, "no session was asked for")
    }

    @Test("without PostgreSQL nobody's session goes on by the request; somebody gets the list that a tier holds")
    func withoutStore() async throws {
        let subject = try await Subject()
        try await subject.keep(Self.kept(5))
        subject.kept.lose(sessions: false, store: true)
        let anonymous = try await subject.ask([Self.given(7)])
        #expect(anonymous.degraded == [.postgres] && anonymous.fallback == nil)
        #expect(Self.ids(anonymous).contains("i5") && !Self.ids(anonymous).contains("i7"))
        let own = try await subject.node.ask(limit: 20)
        subject.node.users.isAway = true
        let held = try await subject.ask([Self.given(7)], user: "ann")
        let others = own.items.map(\.item).filter { !["i5", "i7"].contains($0.string) }
        #expect(held.tier == .l1 && held.items.map(\.item) == others, "but for what was had in the session")
        #expect(held.degraded == [.postgres])
        let unknown = try await subject.ask([Self.given(7)], user: "bob")
        #expect(unknown.fallback == .popular && unknown.degraded == [.postgres, .unverified])
        #expect(Self.ids(unknown).isDisjoint(with: ["i5", "i7"]), "had in the session")
        await #expect(throws: ServingError.storeUnavailable) {
            try await subject.ask(user: "ann", minimumVersion: 1)
        }
    }

    @Test("events of items that the catalogue does not know say nothing")
    func unknownItems() async throws {
        let subject = try await Subject()
        try await subject.keep(Self.kept(700))
        #expect(try await subject.ask([Self.given(900)]).fallback == .coldStart)
    }

    @Test("the history of a session is newest first, holds each event once and all of them, whatever they are")
    func property() {
        var generator = SeededGenerator(seed: 11)
        let catalog = Fixture.state(items: Fixture.items(12)).catalog
        let second = Fixture.now.microseconds / 1_000_000
        for _ in 0..<400 {
            let history = (0..<Int.random(in: 0...8, using: &generator)).map { _ in
                HistoryEvent(
                    item: UInt32.random(in: 0..<12, using: &generator),
                    type: [.click, .view].randomElement(using: &generator)!,
                    value: 1,
                    occurredAt: Timestamp(seconds: second + Int64.random(in: -6...0, using: &generator))
                )
            }.sorted { $0.occurredAt > $1.occurredAt }
            let kept = (0..<Int.random(in: 0...8, using: &generator)).map { _ in
                Self.kept(
                    Int.random(in: 0..<14, using: &generator),
                    [.click, .view].randomElement(using: &generator)!,
                    at: Int64.random(in: -6...0, using: &generator)
                )
            }
            let given = (0..<Int.random(in: 0...6, using: &generator)).map { _ in
                Self.given(
                    Int.random(in: 0..<14, using: &generator),
                    at: Bool.random(using: &generator) ? Int64.random(in: -6...0, using: &generator) : nil
                )
            }
            let times = kept.map(\.occurredAt) + given.map { $0.occurredAt ?? Fixture.now }
            let session = SessionHistory(history, since: times.min(), catalog: catalog)
            let unknown = session.unknown(of: kept)
            let merged = session.merged(given, kept: kept, counted: unknown, now: Fixture.now)
            #expect(zip(merged, merged.dropFirst()).allSatisfy { $0.occurredAt >= $1.occurredAt })
            func mark(_ item: String, _ type: EventType, _ time: Timestamp) -> String { "\(item) \(type) \(time)" }
            let own = Set(history.map { mark("i\($0.item)", $0.type, $0.occurredAt) })
            var wanted = own
            for event in kept where catalog.number(of: event.item) != nil {
                wanted.insert(mark(event.item.string, event.type, event.occurredAt))
            }
            for event in given where catalog.number(of: event.item) != nil {
                let isKept = kept.contains { $0.item == event.item && $0.type == event.type }
                guard event.occurredAt != nil || !isKept else { continue }
                wanted.insert(mark(event.item.string, event.type, event.occurredAt ?? Fixture.now))
            }
            let marks = merged.map { mark("i\($0.item)", $0.type, $0.occurredAt) }
            #expect(Set(marks) == wanted)
            #expect(marks.count - wanted.count == history.count - own.count, "what the history holds twice stays")
        }
    }
}
