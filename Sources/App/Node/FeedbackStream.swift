import Caching
import HTTPAPI
import Logging
import Metrics
import RecommendationCore
import RedisAdapters
import ServiceLifecycle
import Serving

/// Feedback over Redis streams (coherence, section 7): at least once into PostgreSQL, whose unique event id makes it once.
///
/// An entry is acknowledged after the COMMIT that holds it. Until then it is pending: with this node, which reads it again
/// after a failure and after a restart under the same name, or, when it has been pending for long, with whichever node takes
/// it over. What is wrong with an event itself puts it among the dead at once; a store that is away, or answers with an error,
/// does not: the entry stays pending, and does not hold up those behind it.
struct FeedbackStream: Service {
    /// Entries of a tenant stored in one transaction.
    private static let batch = 200
    /// How long one read waits for entries; a shutdown waits for its end.
    private static let wait = Duration.milliseconds(500)
    private static let pause = Duration.milliseconds(500)

    private let stream: RedisFeedbackStream
    private let configuration: FeedbackStreamSettings
    private let feedback: FeedbackService
    private let control: ControlState
    private let log: Logger
    private let metrics = StreamMetrics()

    init(
        stream: RedisFeedbackStream,
        configuration: FeedbackStreamSettings,
        feedback: FeedbackService,
        control: ControlState,
        log: Logger
    ) {
        self.stream = stream
        self.configuration = configuration
        self.feedback = feedback
        self.control = control
        self.log = log
    }

    func run() async throws {
        guard self.configuration.isOn else {
            try? await gracefulShutdown()
            return
        }
        var positions = StreamPositions()
        var nextClaim = ContinuousClock.now
        var nextTidying = ContinuousClock.now
        var isReadable = true
        while !Task.isCancelled, !Task.isShuttingDownGracefully {
            do {
                for tenant in self.control.tenants where tenant != .fleet && !positions.has(tenant) {
                    try await self.stream.prepare(tenant.string)
                    positions.began(tenant)
                }
                if nextClaim <= .now {
                    try await self.claim(&positions)
                    nextClaim = .now + self.configuration.reclaimAfter / 4
                }
                if nextTidying <= .now {
                    try await self.tidy(positions)
                    nextTidying = .now + .seconds(5)
                }
                let isDone = try await self.pass(&positions)
                if !isReadable { self.log.info("the feedback streams can be read again") }
                isReadable = true
                guard isDone else {
                    try? await Task.sleep(for: Self.pause)
                    continue
                }
            } catch {
                // Redis is away, or has forgotten the groups: what was delivered is read again.
                positions = StreamPositions()
                self.metrics.failed.increment()
                // Once: it is tried twice a second.
                self.log.log(
                    level: isReadable ? .warning : .debug,
                    "the feedback streams cannot be read",
                    metadata: ["error": "\(error)"]
                )
                isReadable = false
                try? await Task.sleep(for: Self.pause)
            }
        }
    }

    /// Reads and stores once; false: there is nothing to read, or not all could be stored.
    private func pass(_ positions: inout StreamPositions) async throws -> Bool {
        let wanted = positions.all
        guard !wanted.isEmpty else { return false }
        let read = try await self.stream.read(
            wanted.map { ($0.tenant.string, $0.position) },
            count: Self.batch,
            wait: Self.wait
        )
        var isStored = true
        for (index, entries) in read {
            let tenant = wanted[index].tenant
            if try await self.store(entries, tenant: tenant) {
                positions.passed(tenant, last: entries.last?.id)
            } else {
                positions.failed(tenant)
                isStored = false
            }
        }
        return isStored
    }

    private func claim(_ positions: inout StreamPositions) async throws {
        for (tenant, _) in positions.all {
            let count = try await self.stream.claim(
                idle: self.configuration.reclaimAfter,
                count: Self.batch,
                of: tenant.string
            )
            guard count > 0 else { continue }
            self.metrics.reclaimed.increment(by: count)
            positions.failed(tenant)
        }
    }

    private func tidy(_ positions: StreamPositions) async throws {
        var pending = 0
        for (tenant, _) in positions.all { pending += try await self.stream.tidy(tenant.string) }
        self.metrics.pending.record(pending)
    }

    /// Stores, and then acknowledges; false: the store is away.
    private func store(_ entries: [RedisFeedbackStream.Entry], tenant: Tenant.ID) async throws -> Bool {
        var events: [(entry: RedisFeedbackStream.Entry, request: FeedbackRequest)] = []
        for entry in entries {
            if entry.isDeleted {
                try await self.stream.acknowledge([entry.id], of: tenant.string)
                continue
            }
            guard let event = entry.event else {
                try await self.bury(entry, "required", "event", tenant: tenant)
                continue
            }
            var decoded: FeedbackRequest
            do throws(FeedbackMessageError) {
                decoded = try FeedbackMessage.decode(event)
            } catch {
                try await self.bury(entry, error.code, error.field, tenant: tenant)
                continue
            }
            decoded.queuedAt = RedisFeedbackStream.milliseconds(entry.id)
            events.append((entry, decoded))
        }
        guard !events.isEmpty else { return true }
        switch await self.record(events.map(\.request), tenant: tenant) {
        case .away: return false
        case .answered(let answer): try await self.settle(events.map(\.entry), answer, tenant: tenant)
        case .failed:
            // One of them, perhaps: the others need not wait for it.
            for (entry, request) in events {
                switch await self.record([request], tenant: tenant) {
                case .away: return false
                case .answered(let answer): try await self.settle([entry], answer, tenant: tenant)
                case .failed: continue
                }
            }
        }
        return true
    }

    private enum Recorded {
        case answered(FeedbackAnswer)
        /// The store is away.
        case away
        /// The store answers with an error.
        case failed
    }

    private func record(_ requests: [FeedbackRequest], tenant: Tenant.ID) async -> Recorded {
        do {
            return .answered(try await self.feedback.record(requests, tenant: tenant))
        } catch {
            self.metrics.failed.increment()
            switch error {
            case .notDurable, .notReady, .storeUnavailable: return .away
            default: return .failed
            }
        }
    }

    /// After the COMMIT.
    private func settle(
        _ entries: [RedisFeedbackStream.Entry],
        _ answer: FeedbackAnswer,
        tenant: Tenant.ID
    ) async throws {
        var rejected = Set<Int>()
        for rejection in answer.rejected {
            rejected.insert(rejection.index)
            try await self.bury(entries[rejection.index], rejection.code, rejection.field, tenant: tenant)
        }
        let stored = entries.indices.filter { !rejected.contains($0) }.map { entries[$0].id }
        try await self.stream.acknowledge(stored, of: tenant.string)
        self.metrics.taken.increment(by: stored.count)
    }

    private func bury(
        _ entry: RedisFeedbackStream.Entry,
        _ code: String,
        _ field: String,
        tenant: Tenant.ID
    ) async throws {
        try await self.stream.bury(entry, code: code, field: field, of: tenant.string)
        self.metrics.dead.increment()
        self.log.info("feedback over a stream rejected", metadata: ["code": "\(code)", "field": "\(field)"])
    }
}

/// Where this node stands in each tenant's stream: what is its own and pending comes first, then what is new.
struct StreamPositions: Sendable, Equatable {
    private var positions: [Tenant.ID: RedisFeedbackStream.Position] = [:]

    /// By tenant, in a fixed order.
    var all: [(tenant: Tenant.ID, position: RedisFeedbackStream.Position)] {
        self.positions.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    func has(_ tenant: Tenant.ID) -> Bool { self.positions[tenant] != nil }

    /// A stream is read from now on: what a process of the same name left pending, first.
    mutating func began(_ tenant: Tenant.ID) { self.positions[tenant] = .own(after: "0") }

    /// Entries were stored; nil: there were none. Those that could not be are pending, and come again with the next failure or
    /// when they are taken over.
    mutating func passed(_ tenant: Tenant.ID, last: String?) {
        guard case .own = self.positions[tenant] else { return }
        self.positions[tenant] = last.map { .own(after: $0) } ?? .new
    }

    /// What was delivered is pending with this node and has to be read again.
    mutating func failed(_ tenant: Tenant.ID) { self.positions[tenant] = .own(after: "0") }
}

private struct StreamMetrics: Sendable {
    let taken = Counter(label: "vireo_feedback_stream_total", dimensions: [("result", "taken")])
    let failed = Counter(label: "vireo_feedback_stream_total", dimensions: [("result", "failed")])
    let dead = Counter(label: "vireo_feedback_stream_total", dimensions: [("result", "dead")])
    let reclaimed = Counter(label: "vireo_feedback_stream_reclaimed_total")
    let pending = Gauge(label: "vireo_feedback_stream_pending")
}
